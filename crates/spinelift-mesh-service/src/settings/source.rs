//! Where settings are read from, and what can be wrong with them.

use super::kinds::Kind;
use std::collections::HashMap;
use std::fmt;
use url::Url;

/// Why the settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// `.env` cannot be read.
    #[error("the file .env cannot be read: {0}")]
    File(String),
    /// Some settings have values that are not allowed; all of them.
    #[error("{}", list(.0))]
    Wrong(Vec<WrongSetting>),
}

/// A setting with a value that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongSetting {
    /// The variable.
    pub name: &'static str,
    /// Its value; of a URL only what is no secret.
    pub value: String,
    /// What is allowed.
    pub expected: &'static str,
}

impl fmt::Display for WrongSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}={:?}: must be {}",
            self.name, self.value, self.expected
        )
    }
}

fn list(wrong: &[WrongSetting]) -> String {
    let lines: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// The variables of this process, and those of `.env`.
pub(super) struct Variables(HashMap<String, String>);

impl Variables {
    pub(super) fn of_process() -> Result<Self, SettingsError> {
        let file = |error: dotenvy::Error| SettingsError::File(error.to_string());
        let mut variables = HashMap::new();
        match dotenvy::from_path_iter(".env") {
            Ok(entries) => {
                for entry in entries {
                    let (name, value) = entry.map_err(file)?;
                    variables.insert(name, value);
                }
            }
            Err(error) if error.not_found() => {}
            Err(error) => return Err(file(error)),
        }
        Ok(Self(variables))
    }

    /// The environment comes first, so that a deployment can overrule the file.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        match std::env::var_os(name) {
            Some(value) => Some(value.to_string_lossy().into_owned()),
            None => self.0.get(name).cloned(),
        }
    }
}

/// One pass over all settings, which gathers what is wrong.
pub(super) struct Reading<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    pub(super) wrong: Vec<WrongSetting>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            variable,
            wrong: Vec::new(),
        }
    }

    /// The value of a setting, or its default if it is unset or empty: compose files and charts
    /// pass on variables that nobody set as empty ones.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        default: &'static str,
        kind: &Kind<T>,
    ) -> Option<T> {
        let given = (self.variable)(name).map(|value| value.trim().to_owned());
        let text = given.filter(|value| !value.is_empty());
        let text = text.as_deref().unwrap_or(default);
        let value = (kind.parse)(text);
        if value.is_none() {
            self.wrong.push(WrongSetting {
                name,
                value: without_secrets(text),
                expected: kind.expected,
            });
        }
        value
    }
}

fn without_secrets(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.has_host() => crate::redacted::RedactedUrl::new(url).to_string(),
        _ => text.to_owned(),
    }
}
