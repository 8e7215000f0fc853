//! The nine parameters and the optional ones: their ranges, their defaults and their validation.

mod error;
mod options;
mod outline;
mod preset;
mod table;

pub use error::{Expected, ParameterError, ParameterErrors};
pub use options::{OPTION_GROUPS, OPTIONS, OptionKind, OptionSpec};
pub use outline::{InteriorParameters, IslandMode, OutlineMode, OutlineParameters, Symmetry};
pub use preset::{PRESETS, Preset};
pub use table::{PARAMETERS, ParameterKind, ParameterSpec};

use crate::warning::{MAX_WARNINGS, Warning};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
    /// How the outline is made; not serialized where it is the default.
    #[serde(skip_serializing_if = "OutlineParameters::is_default")]
    pub outline: OutlineParameters,
    /// What is put inside; not serialized where it is the default.
    #[serde(skip_serializing_if = "InteriorParameters::is_default")]
    pub interior: InteriorParameters,
    /// How many milliseconds the caller gives to searches: 0 to 600,000. The library has no clock:
    /// the caller's [`Observer`](crate::Observer) keeps to it. It is no part of the mesh, and not in
    /// its metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u32>,
}

impl Default for MeshParameters {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl MeshParameters {
    /// The contract's defaults.
    pub const DEFAULT: MeshParameters = MeshParameters {
        detail_factor: 0.01,
        alpha_threshold: 10,
        concave_factor: 0.0,
        internal_vertex_density: 0,
        blur_kernel_size: 1,
        binary_threshold: 128,
        min_contour_area: 10.0,
        density_scaling_factor: 1000.0,
        min_triangle_area: 1.0,
        outline: OutlineParameters::DEFAULT,
        interior: InteriorParameters::DEFAULT,
        deadline_ms: None,
    };

    /// An outline that loses no visible pixel.
    pub const COVER: MeshParameters = MeshParameters {
        alpha_threshold: options::COVER_ALPHA_THRESHOLD,
        outline: OutlineParameters::COVER,
        ..Self::DEFAULT
    };

    /// Reads a JSON object; absent parameters keep their defaults, unknown ones are ignored with
    /// a [`Warning::UnknownParameter`] each, for the first [`MAX_WARNINGS`] of them.
    ///
    /// # Errors
    /// Every parameter that is of the wrong type or out of its range, all at once.
    pub fn from_json(value: &Value) -> Result<(Self, Vec<Warning>), ParameterErrors> {
        Self::from_json_over(value, Self::DEFAULT)
    }

    /// The same, but absent parameters keep the values of `base`, such as a [`Preset`]'s.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn from_json_over(
        value: &Value,
        base: Self,
    ) -> Result<(Self, Vec<Warning>), ParameterErrors> {
        match value {
            Value::Null => Ok((base.with_odd_kernel(), Vec::new())),
            Value::Object(object) => base.overridden_by(object),
            other => Err(ParameterErrors(vec![ParameterError {
                name: "parameters".into(),
                value: other.clone(),
                expected: Expected::Object,
            }])),
        }
    }

    fn overridden_by(
        self,
        object: &Map<String, Value>,
    ) -> Result<(Self, Vec<Warning>), ParameterErrors> {
        let mut parameters = self;
        let mut warnings = Vec::new();
        let mut errors = Vec::new();
        for (name, value) in object {
            if OPTION_GROUPS.contains(&name.as_str()) {
                options::read_group(name, value, &mut parameters, &mut warnings, &mut errors);
                continue;
            }
            if options::read_single(name, value, &mut parameters, &mut errors) {
                continue;
            }
            match PARAMETERS.iter().find(|spec| spec.name == name) {
                None if warnings.len() >= MAX_WARNINGS => {}
                None => warnings.push(Warning::unknown_parameter(name)),
                Some(spec) => match spec.accept(value) {
                    Ok(number) => (spec.write)(&mut parameters, number),
                    Err(error) => errors.push(error),
                },
            }
        }
        let is_new_cover = parameters.outline.mode == OutlineMode::Cover
            && self.outline.mode != OutlineMode::Cover;
        if is_new_cover && !object.contains_key("alpha_threshold") {
            parameters.alpha_threshold = options::COVER_ALPHA_THRESHOLD;
        }
        if parameters.outline.mode == OutlineMode::Reference {
            warnings.extend(options::without_effect(object));
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
            .chain(OPTIONS.iter().filter_map(|spec| spec.check(&self).err()))
            .collect();
        if errors.is_empty() {
            Ok(self.with_odd_kernel())
        } else {
            Err(ParameterErrors(errors))
        }
    }

    /// All that a mesh depends on: the deadline is left out, since without it the mesh of a run that
    /// was in time is the same.
    #[must_use]
    pub fn without_deadline(mut self) -> Self {
        self.deadline_ms = None;
        self
    }

    fn with_odd_kernel(mut self) -> Self {
        self.blur_kernel_size |= 1;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_names_are_warned_of_briefly_and_not_without_end() {
        let mut given: Map<String, Value> = (0..1000).map(|n| (n.to_string(), 0.into())).collect();
        given.insert("\u{7f}".repeat(100_000), 0.into());
        given.insert("min_contour_area".into(), 7.into());
        let (parameters, warnings) = MeshParameters::from_json(&given.into()).expect("valid");
        assert_eq!(parameters.min_contour_area.to_bits(), 7f64.to_bits());
        assert_eq!(warnings.len(), MAX_WARNINGS);
        let long = json!({ "\u{7f}".repeat(100_000): 0 });
        let (_, warnings) = MeshParameters::from_json(&long).expect("valid");
        assert!(warnings[0].to_string().len() < 2000);
    }

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
    fn optional_parameters_are_nested_and_absent_where_they_are_defaults() {
        let given = json!({
            "outline": { "mode": "cover", "max_vertices": 12, "max_overdraw": 1.1, "padding": 0.5,
                "islands": "separate", "symmetry": "auto" },
            "interior": { "vertices": 60, "spacing": null, "min_angle": 25 },
        });
        let (parameters, warnings) = MeshParameters::from_json(&given).expect("valid");
        assert_eq!(warnings, []);
        let expected = MeshParameters {
            outline: OutlineParameters {
                max_vertices: Some(12),
                max_overdraw: Some(1.1),
                padding: 0.5,
                islands: IslandMode::Separate,
                symmetry: Symmetry::Auto,
                ..OutlineParameters::COVER
            },
            interior: InteriorParameters {
                vertices: Some(60),
                spacing: None,
                min_angle: Some(25.0),
            },
            ..MeshParameters::COVER
        };
        assert_eq!(parameters, expected);
        let json = serde_json::to_value(parameters).expect("plain values");
        assert_eq!(MeshParameters::from_json(&json).expect("valid").0, expected);
        assert_eq!(
            serde_json::from_value::<MeshParameters>(json).ok(),
            Some(expected)
        );
        let defaults = serde_json::to_value(MeshParameters::DEFAULT).expect("plain values");
        assert_eq!(defaults.as_object().map(Map::len), Some(PARAMETERS.len()));
    }

    #[test]
    fn every_option_is_found_parsed_and_put_where_it_belongs() {
        for spec in &OPTIONS {
            let path = spec.path();
            assert_eq!(OptionSpec::by_path(&path).map(OptionSpec::path), Some(path));
            let (good, bad) = match spec.kind {
                OptionKind::Choice(words) => (words[1].to_owned(), "best".to_owned()),
                OptionKind::Integer { minimum, maximum }
                | OptionKind::Number { minimum, maximum } => {
                    (maximum.to_string(), (minimum - 1.0).to_string())
                }
            };
            let error = spec.parse(&bad).expect_err("not allowed");
            assert_eq!(error.name, spec.path());
            let mut given = Map::new();
            spec.put(spec.parse(&good).expect("allowed"), &mut given);
            let (parameters, _) = MeshParameters::from_json(&given.into()).expect("valid");
            assert_ne!(parameters, MeshParameters::DEFAULT, "{}", spec.path());
        }
        for none in ["mode", "outline", "outline.mode.x", ".deadline_ms", ""] {
            assert!(OptionSpec::by_path(none).is_none(), "{none}");
        }
        let mut given = Map::from_iter([("outline".to_owned(), json!(7))]);
        OPTIONS[1].put(json!(9), &mut given);
        assert_eq!(given["outline"], 7);
    }

    #[test]
    fn options_that_count_with_cover_alone_are_told_of() {
        let codes = |given: Value| {
            let (_, warnings) = MeshParameters::from_json(&given).expect("valid");
            warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let outline = json!({ "max_vertices": 8, "padding": 0, "islands": "bridge" });
        let told = codes(json!({ "outline": outline }));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("outline.max_vertices"), "{told:?}");
        let cover = json!({ "mode": "cover", "max_vertices": 8 });
        assert!(codes(json!({ "outline": cover })).is_empty());
    }

    #[test]
    fn a_deadline_is_read_and_no_part_of_the_mesh() {
        let given = json!({ "deadline_ms": 50, "outline": { "mode": "cover" } });
        let (parameters, warnings) = MeshParameters::from_json(&given).expect("valid");
        assert_eq!((parameters.deadline_ms, warnings), (Some(50), Vec::new()));
        assert_eq!(parameters.without_deadline(), MeshParameters::COVER);
        let errors = MeshParameters::from_json(&json!({ "deadline_ms": -1 }));
        let text = errors.expect_err("out of range").to_string();
        let expected = "deadline_ms must be a whole number from 0 to 600000, not -1";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_threshold_of_a_cover_is_one_unless_it_is_given() {
        let threshold = |given| {
            let (parameters, _) = MeshParameters::from_json(&given).expect("valid");
            parameters.alpha_threshold
        };
        assert_eq!(threshold(json!({ "outline": { "mode": "cover" } })), 1);
        assert_eq!(threshold(json!({ "outline": { "mode": "reference" } })), 10);
        assert_eq!(
            threshold(json!({ "outline": { "mode": "cover" }, "alpha_threshold": 10 })),
            10
        );
    }

    #[test]
    fn every_wrong_option_is_named_with_value_and_range() {
        let errors = MeshParameters::from_json(&json!({
            "outline": { "mode": "round", "max_vertices": 3, "padding": -1, "paddings": 1 },
            "interior": 7,
        }))
        .expect_err("four are wrong");
        let text = errors.to_string();
        assert_eq!(errors.0.len(), 4, "{text}");
        let unknown: Map<_, _> = (0..1000).map(|n| (n.to_string(), 0.into())).collect();
        let given = json!({ "outline": unknown });
        let (_, warnings) = MeshParameters::from_json(&given).expect("they do no harm");
        assert_eq!(warnings.len(), MAX_WARNINGS);
        for part in [
            "outline.mode must be one of reference, cover, not \"round\"",
            "outline.max_vertices must be a whole number from 4 to 256, not 3",
            "outline.padding must be a number from 0 to 32, not -1",
            "interior must be an object of named parameters, not 7",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let mut by_hand = MeshParameters::COVER;
        by_hand.outline.max_overdraw = Some(f64::NAN);
        let errors = by_hand.normalized().expect_err("not finite");
        assert_eq!(errors.0[0].name, "outline.max_overdraw");
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
