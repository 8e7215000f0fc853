//! What is wrong with parameters.

use serde_json::{Value, json};
use std::fmt;

/// What a parameter should have been.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Expected {
    /// A JSON object of parameters.
    Object,
    /// One of some words.
    OneOf(&'static [&'static str]),
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
            Expected::OneOf(words) => write!(f, "one of {}", words.join(", ")),
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
        if let Expected::OneOf(words) = self.expected {
            details["allowed"] = json!(words);
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
