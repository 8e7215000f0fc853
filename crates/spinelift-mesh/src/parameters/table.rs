//! The parameters as a table.

use super::{Expected, MeshParameters, ParameterError};
use serde_json::Value;

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
    pub(super) write: fn(&mut MeshParameters, f64),
    pub(super) read: fn(&MeshParameters) -> f64,
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

/// A number as JSON has it, or the text as it is.
pub(super) fn number(text: &str) -> Value {
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(integer), _) => Value::from(integer),
        (_, Ok(number)) if number.is_finite() => Value::from(number),
        _ => Value::from(text),
    }
}

impl ParameterSpec {
    /// Checks one value, as it comes from JSON. The error shows it as it was given.
    pub(super) fn accept(&self, value: &Value) -> Result<f64, ParameterError> {
        match value.as_f64() {
            Some(number) if self.allows(number) => Ok(number),
            _ => Err(self.refuse(value.clone())),
        }
    }

    /// Checks a value that was set by hand.
    pub(super) fn check(&self, number: f64) -> Result<(), ParameterError> {
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
        let value = number(text);
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
