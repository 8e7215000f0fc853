//! The nine parameters: their ranges, their defaults and their validation.

use crate::warning::Warning;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt;

/// The parameters of one mesh. [`Default`] gives the contract's defaults.
///
/// [`MeshParameters::from_json`] reads and checks them; values set by hand are checked by
/// [`MeshParameters::normalized`], which [`generate`](crate::generate) calls.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MeshParameters {
    /// How much detail of the contour is kept: 0.001 to 0.050, a larger value keeps more.
    pub detail_factor: f64,
    /// Pixels with an alpha below this count as transparent: 0 to 255.
    pub alpha_threshold: u8,
    /// Coarsens the outline: its tolerance grows by up to five times. 0 to 100.
    pub concave_factor: f64,
    /// Interior vertices: 0 makes none, 1 to 100 bound the triangles' area to
    /// `width · height / (internal_vertex_density · density_scaling_factor)`.
    pub internal_vertex_density: u32,
    /// Width of the box blur in pixels: odd, 1 (no blur) to 21. An even value is raised by one.
    pub blur_kernel_size: u32,
    /// Pixels of the blurred mask strictly above this are foreground: 0 to 255.
    pub binary_threshold: u8,
    /// Contours of a smaller area (px²) are ignored: 1 to 1000.
    pub min_contour_area: f64,
    /// See [`internal_vertex_density`](Self::internal_vertex_density): 100 to 10,000.
    pub density_scaling_factor: f64,
    /// The area bound is never below this (px²): 0.1 to 100.
    pub min_triangle_area: f64,
}

/// Whether a parameter is a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// A whole number.
    Integer,
    /// Any finite number.
    Number,
}

/// Name, kind, range, default and meaning of one parameter: what `--help` and the API
/// description are made of.
#[derive(Debug, Clone, Copy)]
pub struct ParameterSpec {
    /// The name in JSON.
    pub name: &'static str,
    /// Whole number or not.
    pub kind: ParameterKind,
    /// Least value allowed.
    pub minimum: f64,
    /// Largest value allowed.
    pub maximum: f64,
    /// The default.
    pub default: f64,
    /// What it does, in one line.
    pub description: &'static str,
    write: fn(&mut MeshParameters, f64),
    read: fn(&MeshParameters) -> f64,
}

macro_rules! spec {
    ($name:ident, $kind:ident, $minimum:literal..=$maximum:literal, $default:literal, $type:ty, $description:literal) => {
        ParameterSpec {
            name: stringify!($name),
            kind: ParameterKind::$kind,
            minimum: $minimum,
            maximum: $maximum,
            default: $default,
            description: $description,
            // The value has been checked against the range and for being whole.
            write: |parameters, value| parameters.$name = value as $type,
            read: |parameters| f64::from(parameters.$name),
        }
    };
}

/// All parameters, in the contract's order.
#[rustfmt::skip]
pub const PARAMETERS: [ParameterSpec; 9] = [
    spec!(detail_factor, Number, 0.001..=0.050, 0.01, f64,
        "How much detail of the outline is kept; larger keeps more"),
    spec!(alpha_threshold, Integer, 0.0..=255.0, 10.0, u8,
        "Pixels with an alpha below this count as transparent"),
    spec!(concave_factor, Number, 0.0..=100.0, 0.0, f64,
        "Coarsens the outline; its tolerance grows by up to five times"),
    spec!(internal_vertex_density, Integer, 0.0..=100.0, 0.0, u32,
        "Interior vertices; 0 makes none, larger makes smaller triangles"),
    spec!(blur_kernel_size, Integer, 1.0..=21.0, 1.0, u32,
        "Width of the box blur in pixels; 1 is no blur, an even value is raised by one"),
    spec!(binary_threshold, Integer, 0.0..=255.0, 128.0, u8,
        "Pixels of the blurred mask above this are inside the outline"),
    spec!(min_contour_area, Number, 1.0..=1000.0, 10.0, f64,
        "Contours of a smaller area in square pixels are ignored"),
    spec!(density_scaling_factor, Number, 100.0..=10000.0, 1000.0, f64,
        "Scales internal_vertex_density; larger makes smaller triangles"),
    spec!(min_triangle_area, Number, 0.1..=100.0, 1.0, f64,
        "With interior vertices: bound on triangle area is never below this"),
];

impl Default for MeshParameters {
    fn default() -> Self {
        MeshParameters {
            detail_factor: 0.01,
            alpha_threshold: 10,
            concave_factor: 0.0,
            internal_vertex_density: 0,
            blur_kernel_size: 1,
            binary_threshold: 128,
            min_contour_area: 10.0,
            density_scaling_factor: 1000.0,
            min_triangle_area: 1.0,
        }
    }
}

impl MeshParameters {
    /// Reads a JSON object; absent parameters keep their defaults, unknown ones are ignored with
    /// a [`Warning::UnknownParameter`] each.
    ///
    /// # Errors
    /// Every parameter that is of the wrong type or out of its range, all at once.
    pub fn from_json(value: &Value) -> Result<(Self, Vec<Warning>), ParameterErrors> {
        match value {
            Value::Null => Ok((Self::default(), Vec::new())),
            Value::Object(object) => Self::from_object(object),
            other => Err(ParameterErrors(vec![ParameterError {
                name: "parameters".into(),
                value: other.clone(),
                expected: Expected::Object,
            }])),
        }
    }

    fn from_object(object: &Map<String, Value>) -> Result<(Self, Vec<Warning>), ParameterErrors> {
        let mut parameters = Self::default();
        let mut warnings = Vec::new();
        let mut errors = Vec::new();
        for (name, value) in object {
            match PARAMETERS.iter().find(|spec| spec.name == name) {
                None => warnings.push(Warning::UnknownParameter { name: name.clone() }),
                Some(spec) => match spec.accept(value) {
                    Ok(number) => (spec.write)(&mut parameters, number),
                    Err(error) => errors.push(error),
                },
            }
        }
        if errors.is_empty() {
            Ok((parameters.with_odd_kernel(), warnings))
        } else {
            Err(ParameterErrors(errors))
        }
    }

    /// Checks values that were set by hand, and raises an even `blur_kernel_size` by one.
    ///
    /// # Errors
    /// Every parameter that is out of its range, NaN or infinite.
    pub fn normalized(self) -> Result<Self, ParameterErrors> {
        let errors: Vec<_> = PARAMETERS
            .iter()
            .filter_map(|spec| spec.check((spec.read)(&self)).err())
            .collect();
        if errors.is_empty() {
            Ok(self.with_odd_kernel())
        } else {
            Err(ParameterErrors(errors))
        }
    }

    fn with_odd_kernel(mut self) -> Self {
        self.blur_kernel_size |= 1;
        self
    }
}

impl ParameterSpec {
    /// Checks one value, as it comes from JSON. The error shows it as it was given.
    fn accept(&self, value: &Value) -> Result<f64, ParameterError> {
        match value.as_f64() {
            Some(number) if self.allows(number) => Ok(number),
            _ => Err(self.refuse(value.clone())),
        }
    }

    /// Checks a value that was set by hand.
    fn check(&self, number: f64) -> Result<(), ParameterError> {
        if self.allows(number) {
            return Ok(());
        }
        Err(self.refuse(match self.kind {
            // Fields of this kind are integers and at most 32 bits wide.
            ParameterKind::Integer => Value::from(number as i64),
            // JSON has no NaN and no infinity; say them in words.
            ParameterKind::Number => serde_json::Number::from_f64(number)
                .map_or_else(|| Value::String(number.to_string()), Value::Number),
        }))
    }

    fn allows(&self, number: f64) -> bool {
        let kind_fits = self.kind == ParameterKind::Number || number.fract() == 0.0;
        kind_fits && (self.minimum..=self.maximum).contains(&number)
    }

    /// Parses and checks one value, as it comes from a command line.
    ///
    /// # Errors
    /// The text is no number of the right kind, or out of the range.
    pub fn parse(&self, text: &str) -> Result<Value, ParameterError> {
        let value = match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(integer), _) => Value::from(integer),
            (_, Ok(number)) if number.is_finite() => Value::from(number),
            _ => Value::from(text),
        };
        self.accept(&value).map(|_| value)
    }

    fn refuse(&self, value: Value) -> ParameterError {
        ParameterError {
            name: self.name.into(),
            value,
            expected: match self.kind {
                ParameterKind::Integer => Expected::Integer {
                    minimum: self.minimum,
                    maximum: self.maximum,
                },
                ParameterKind::Number => Expected::Number {
                    minimum: self.minimum,
                    maximum: self.maximum,
                },
            },
        }
    }
}

/// What a parameter should have been.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Expected {
    /// A JSON object of parameters.
    Object,
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

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expected::Object => f.write_str("an object of named parameters"),
            Expected::Integer { minimum, maximum } => {
                write!(f, "a whole number from {minimum} to {maximum}")
            }
            Expected::Number { minimum, maximum } => {
                write!(f, "a number from {minimum} to {maximum}")
            }
        }
    }
}

/// One wrong parameter.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name} must be {expected}, not {value}")]
pub struct ParameterError {
    /// The parameter's name.
    pub name: String,
    /// The value that was given.
    pub value: Value,
    /// What it should have been.
    pub expected: Expected,
}

impl ParameterError {
    /// Name, value, message and range as a JSON object.
    #[must_use]
    pub fn details(&self) -> Value {
        let mut details = json!({
            "field": self.name,
            "value": self.value,
            "message": self.to_string(),
        });
        if let Expected::Integer { minimum, maximum } | Expected::Number { minimum, maximum } =
            self.expected
        {
            details["minimum"] = json!(minimum);
            details["maximum"] = json!(maximum);
        }
        details
    }
}

/// All parameters that are wrong; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterErrors(pub Vec<ParameterError>);

impl ParameterErrors {
    /// `{"errors": [{"field", "value", "message", "minimum", "maximum"}, …]}`.
    #[must_use]
    pub fn details(&self) -> Value {
        json!({ "errors": self.0.iter().map(ParameterError::details).collect::<Vec<_>>() })
    }
}

impl fmt::Display for ParameterErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ParameterErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_the_defaults() {
        let (parameters, _) = MeshParameters::from_json(&json!({})).expect("defaults are valid");
        assert_eq!(parameters, MeshParameters::default());
        for spec in &PARAMETERS {
            assert_eq!((spec.read)(&parameters), spec.default, "{}", spec.name);
        }
    }

    #[test]
    fn both_ends_of_every_range_are_allowed_and_beyond_is_not() {
        for spec in &PARAMETERS {
            let beyond = if spec.kind == ParameterKind::Integer {
                1.0
            } else {
                1e-6
            };
            for (value, allowed) in [
                (spec.minimum, true),
                (spec.maximum, true),
                (spec.minimum - beyond, false),
                (spec.maximum + beyond, false),
            ] {
                let result = MeshParameters::from_json(&json!({ spec.name: value }));
                assert_eq!(result.is_ok(), allowed, "{} = {value}", spec.name);
            }
        }
    }

    #[test]
    fn every_wrong_parameter_is_named_with_value_and_range() {
        let errors = MeshParameters::from_json(
            &json!({ "detail_factor": 2, "alpha_threshold": "10", "blur_kernel_size": 2.5 }),
        )
        .expect_err("three are wrong");
        let text = errors.to_string();
        assert_eq!(errors.0.len(), 3);
        assert!(
            text.contains("detail_factor must be a number from 0.001 to 0.05, not 2"),
            "{text}"
        );
        assert!(
            text.contains("alpha_threshold must be a whole number from 0 to 255, not \"10\""),
            "{text}"
        );
        assert!(
            text.contains("blur_kernel_size must be a whole number from 1 to 21, not 2.5"),
            "{text}"
        );
    }

    #[test]
    fn a_wrong_value_is_repeated_as_it_was_given() {
        let not = |error: ParameterError, value: &str| {
            let text = error.to_string();
            assert!(text.ends_with(&format!("not {value}")), "{text}");
        };
        for value in ["7", "7.0", "-0.5", "18446744073709551615"] {
            let given: Value = serde_json::from_str(value).expect("JSON");
            let errors = MeshParameters::from_json(&json!({ "detail_factor": given }));
            not(errors.expect_err("out of range").0.remove(0), value);
        }
        not(PARAMETERS[0].parse("7").expect_err("out of range"), "7");
        let by_hand = MeshParameters {
            blur_kernel_size: 99,
            ..Default::default()
        };
        let errors = by_hand.normalized().expect_err("out of range");
        not(errors.0[0].clone(), "99");
    }

    #[test]
    fn nan_and_infinities_are_refused() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let parameters = MeshParameters {
                concave_factor: value,
                ..Default::default()
            };
            let errors = parameters.normalized().expect_err("not finite");
            assert_eq!(errors.0[0].name, "concave_factor");
        }
        assert!(PARAMETERS[0].parse("NaN").is_err());
        assert!(PARAMETERS[0].parse("inf").is_err());
    }

    #[test]
    fn an_even_kernel_is_raised_by_one() {
        for (given, used) in [(1, 1), (2, 3), (20, 21), (21, 21)] {
            let (parameters, _) =
                MeshParameters::from_json(&json!({ "blur_kernel_size": given })).expect("in range");
            assert_eq!(parameters.blur_kernel_size, used);
        }
    }

    #[test]
    fn unknown_parameters_are_reported_and_ignored() {
        let (parameters, warnings) =
            MeshParameters::from_json(&json!({ "edge_threshold": 3, "max_triangles": null }))
                .expect("unknown ones do no harm");
        assert_eq!(parameters, MeshParameters::default());
        assert_eq!(warnings.len(), 2);
    }
}
