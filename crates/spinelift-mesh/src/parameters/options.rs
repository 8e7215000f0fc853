//! The optional parameters as a table: groups of them are nested objects in JSON.

use super::table::number;
use super::{
    Expected, InteriorParameters, IslandMode, MeshParameters, OutlineMode, ParameterError, Symmetry,
};
use crate::warning::{MAX_WARNINGS, Warning};
use serde_json::{Map, Value};

/// What an option may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OptionKind {
    /// One of some words.
    Choice(&'static [&'static str]),
    /// A whole number in a closed range.
    Integer {
        /// Least value allowed.
        minimum: f64,
        /// Largest value allowed.
        maximum: f64,
    },
    /// A finite number in a closed range.
    Number {
        /// Least value allowed.
        minimum: f64,
        /// Largest value allowed.
        maximum: f64,
    },
}

impl OptionKind {
    fn allows(self, value: &Value) -> bool {
        match self {
            OptionKind::Choice(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            OptionKind::Integer { minimum, maximum } => value.as_f64().is_some_and(|number| {
                number.fract() == 0.0 && (minimum..=maximum).contains(&number)
            }),
            OptionKind::Number { minimum, maximum } => value
                .as_f64()
                .is_some_and(|number| (minimum..=maximum).contains(&number)),
        }
    }

    fn expected(self) -> Expected {
        match self {
            OptionKind::Choice(words) => Expected::OneOf(words),
            OptionKind::Integer { minimum, maximum } => Expected::Integer { minimum, maximum },
            OptionKind::Number { minimum, maximum } => Expected::Number { minimum, maximum },
        }
    }
}

/// Group, name, kind, default and meaning of one optional parameter.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// The object in JSON that it belongs to; empty for none.
    pub group: &'static str,
    /// The name in that object.
    pub name: &'static str,
    /// The name where there are no groups, as on a command line.
    pub flag: &'static str,
    /// What it may be.
    pub kind: OptionKind,
    /// The default, in words.
    pub default: &'static str,
    /// What it does, in one line.
    pub description: &'static str,
    /// Takes a value that has been checked, or `null` for the default.
    write: fn(&mut MeshParameters, &Value),
    read: fn(&MeshParameters) -> Option<f64>,
}

/// Of [`OptionSpec::group`]: the parameter stands beside the nine.
const NO_GROUP: &str = "";

fn whole(value: &Value) -> Option<u32> {
    value.as_f64().map(|number| number as u32)
}

/// A checked word, by the name that serialization gives it.
fn word<T: serde::de::DeserializeOwned + Default>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

/// All optional parameters.
#[rustfmt::skip]
pub const OPTIONS: [OptionSpec; 10] = [
    OptionSpec { group: "outline", name: "mode", flag: "outline",
        kind: OptionKind::Choice(&["reference", "cover"]), default: "reference",
        description: "`cover` loses no visible pixel; `reference` follows the contour through pixel centres",
        write: |parameters, value| parameters.outline.mode = word::<OutlineMode>(value),
        read: |_| None },
    OptionSpec { group: "outline", name: "max_vertices", flag: "max-vertices",
        kind: OptionKind::Integer { minimum: 4.0, maximum: 256.0 }, default: "12, or 256 with `max_overdraw`",
        description: "With `cover`: the outline has no more vertices",
        write: |parameters, value| parameters.outline.max_vertices = whole(value),
        read: |parameters| parameters.outline.max_vertices.map(f64::from) },
    OptionSpec { group: "outline", name: "max_overdraw", flag: "max-overdraw",
        kind: OptionKind::Number { minimum: 1.0, maximum: 10.0 }, default: "none",
        description: "With `cover`: as few vertices as reach this ratio of area to visible pixels",
        write: |parameters, value| parameters.outline.max_overdraw = value.as_f64(),
        read: |parameters| parameters.outline.max_overdraw },
    OptionSpec { group: "outline", name: "padding", flag: "padding",
        kind: OptionKind::Number { minimum: 0.0, maximum: 32.0 }, default: "0",
        description: "With `cover`: pixels around each visible one, in halves",
        write: |parameters, value| parameters.outline.padding = value.as_f64().unwrap_or_default(),
        read: |parameters| Some(parameters.outline.padding) },
    OptionSpec { group: "outline", name: "islands", flag: "islands",
        kind: OptionKind::Choice(&["bridge", "largest", "separate"]), default: "bridge",
        description: "With `cover`: one outline for all islands, the largest alone, or a mesh for each",
        write: |parameters, value| parameters.outline.islands = word::<IslandMode>(value),
        read: |_| None },
    OptionSpec { group: "outline", name: "symmetry", flag: "symmetry",
        kind: OptionKind::Choice(&["auto", "vertical", "none"]), default: "none",
        description: "With `cover`: mirror the mesh at a vertical axis; `auto` where the art nearly is",
        write: |parameters, value| parameters.outline.symmetry = word::<Symmetry>(value),
        read: |_| None },
    OptionSpec { group: "interior", name: "vertices", flag: "interior-vertices",
        kind: OptionKind::Integer { minimum: 4.0, maximum: 10_000.0 }, default: "none",
        description: "Spread vertices evenly, about so many in all and no more",
        write: |parameters, value| parameters.interior.vertices = whole(value),
        read: |parameters| parameters.interior.vertices.map(f64::from) },
    OptionSpec { group: "interior", name: "spacing", flag: "interior-spacing",
        kind: OptionKind::Number { minimum: 2.0, maximum: 1000.0 }, default: "none",
        description: "Spread vertices evenly, so many pixels apart",
        write: |parameters, value| parameters.interior.spacing = value.as_f64(),
        read: |parameters| parameters.interior.spacing },
    OptionSpec { group: "interior", name: "min_angle", flag: "min-angle",
        kind: OptionKind::Number { minimum: 0.0, maximum: 30.0 }, default: "none",
        description: "Degrees that no angle shall be below, but for those of the outline",
        write: |parameters, value| parameters.interior.min_angle = value.as_f64(),
        read: |parameters| parameters.interior.min_angle },
    OptionSpec { group: NO_GROUP, name: "deadline_ms", flag: "deadline",
        kind: OptionKind::Integer { minimum: 0.0, maximum: 600_000.0 }, default: "none",
        description: "Milliseconds of computing after which searches end with the best they have; no part of the mesh",
        write: |parameters, value| parameters.deadline_ms = whole(value),
        read: |parameters| parameters.deadline_ms.map(f64::from) },
];

/// The names of the objects in JSON.
pub const OPTION_GROUPS: [&str; 2] = ["outline", "interior"];

impl OptionSpec {
    /// `group.name`, or the name alone where there is no group.
    #[must_use]
    pub fn path(&self) -> String {
        match self.group {
            NO_GROUP => self.name.to_owned(),
            group => format!("{group}.{}", self.name),
        }
    }

    /// The option of that [`path`](Self::path).
    #[must_use]
    pub fn by_path(path: &str) -> Option<&'static OptionSpec> {
        OPTIONS.iter().find(|spec| match path.split_once('.') {
            None => spec.group == NO_GROUP && spec.name == path,
            Some(parts) => spec.group != NO_GROUP && (spec.group, spec.name) == parts,
        })
    }

    /// Puts a value where it belongs in an object of parameters. What stands in the way of a group
    /// stays, and is found wrong later.
    pub fn put(&self, value: Value, parameters: &mut Map<String, Value>) {
        if self.group == NO_GROUP {
            parameters.insert(self.name.to_owned(), value);
            return;
        }
        let group = parameters.entry(self.group).or_insert(Value::Null);
        if group.is_null() {
            *group = Value::Object(Map::new());
        }
        if let Value::Object(group) = group {
            group.insert(self.name.to_owned(), value);
        }
    }

    /// Parses and checks one value, as it comes from a command line.
    ///
    /// # Errors
    /// The text is none of the words, no number of the right kind, or out of the range.
    pub fn parse(&self, text: &str) -> Result<Value, ParameterError> {
        let value = match self.kind {
            OptionKind::Choice(_) => Value::from(text),
            _ => number(text),
        };
        self.accept(&value).map(|()| value)
    }

    fn accept(&self, value: &Value) -> Result<(), ParameterError> {
        if value.is_null() || self.kind.allows(value) {
            return Ok(());
        }
        Err(ParameterError {
            name: self.path(),
            value: value.clone(),
            expected: self.kind.expected(),
        })
    }

    fn set(
        &self,
        value: &Value,
        parameters: &mut MeshParameters,
        errors: &mut Vec<ParameterError>,
    ) {
        match self.accept(value) {
            Ok(()) => (self.write)(parameters, value),
            Err(error) => errors.push(error),
        }
    }

    /// Checks a value that was set by hand.
    pub(super) fn check(&self, parameters: &MeshParameters) -> Result<(), ParameterError> {
        match (self.read)(parameters) {
            None => Ok(()),
            Some(number) => self.accept(&match self.kind {
                OptionKind::Integer { .. } => Value::from(number as i64),
                _ => serde_json::Number::from_f64(number)
                    .map_or_else(|| Value::String(number.to_string()), Value::Number),
            }),
        }
    }
}

/// Reads one group over what is there.
pub(super) fn read_group(
    group: &str,
    value: &Value,
    parameters: &mut MeshParameters,
    warnings: &mut Vec<Warning>,
    errors: &mut Vec<ParameterError>,
) {
    let none = Map::new();
    let object = match value {
        Value::Null => &none,
        Value::Object(object) => object,
        other => {
            errors.push(ParameterError {
                name: group.into(),
                value: other.clone(),
                expected: Expected::Object,
            });
            return;
        }
    };
    for (name, value) in object {
        let spec = OPTIONS
            .iter()
            .find(|spec| spec.group == group && spec.name == name);
        match spec {
            None if warnings.len() >= MAX_WARNINGS => {}
            None => warnings.push(Warning::unknown_parameter(&format!("{group}.{name}"))),
            Some(spec) => spec.set(value, parameters, errors),
        }
    }
}

/// Reads an option that has no group, if there is one of that name.
pub(super) fn read_single(
    name: &str,
    value: &Value,
    parameters: &mut MeshParameters,
    errors: &mut Vec<ParameterError>,
) -> bool {
    let spec = OPTIONS
        .iter()
        .find(|spec| spec.group == NO_GROUP && spec.name == name);
    if let Some(spec) = spec {
        spec.set(value, parameters, errors);
    }
    spec.is_some()
}

/// Options of the outline that were given with another mode than the one they count with.
pub(super) fn without_effect(object: &Map<String, Value>) -> Vec<Warning> {
    let given = object.get("outline").and_then(Value::as_object);
    let changes = |spec: &&OptionSpec, value: &Value| {
        let mut changed = MeshParameters::DEFAULT;
        (spec.write)(&mut changed, value);
        spec.name != "mode" && changed != MeshParameters::DEFAULT
    };
    let is_given = |spec: &&OptionSpec| {
        let value = given.and_then(|given| given.get(spec.name));
        spec.group == "outline" && value.is_some_and(|value| changes(spec, value))
    };
    let without = |spec: &OptionSpec| Warning::WithoutEffect { name: spec.path() };
    OPTIONS.iter().filter(is_given).map(without).collect()
}

/// With `cover` every pixel that is not wholly transparent counts, unless the threshold is given.
pub(super) const COVER_ALPHA_THRESHOLD: u8 = 1;

impl InteriorParameters {
    /// Whether anything is asked for.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        *self != Self::DEFAULT
    }
}
