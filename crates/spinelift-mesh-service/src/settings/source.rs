//! Where settings are read from, and what can be wrong with them.

use super::kinds::Kind;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::io;
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
    /// Its value; of a URL only what is no secret, and of a secret nothing.
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
        match std::fs::read(".env") {
            Ok(file) => read_file(&file).map(Self).map_err(SettingsError::File),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self(HashMap::new())),
            Err(error) => Err(SettingsError::File(error.to_string())),
        }
    }

    /// All names that are set, here or there.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let process = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        process.chain(self.0.keys().cloned()).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        choose(std::env::var_os(name), self.0.get(name))
    }
}

/// The environment comes first, so that a deployment can overrule the file; but an empty variable
/// is one that nobody set.
fn choose(process: Option<OsString>, file: Option<&String>) -> Option<String> {
    let set = process.map(|value| value.to_string_lossy().into_owned());
    set.filter(|value| !value.trim().is_empty())
        .or_else(|| file.cloned())
}

/// The variables in a file. A malformed line is told by the one before it: what the parser has to
/// say repeats the line, and its value may be a password.
fn read_file(file: &[u8]) -> Result<HashMap<String, String>, String> {
    // Some editors begin every file with a byte order mark.
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut variables = HashMap::new();
    let mut before = "at the beginning".to_owned();
    for entry in dotenvy::from_read_iter(file) {
        let (name, value) = entry.map_err(|error| match error {
            dotenvy::Error::LineParse(..) => format!(
                "the line {before} is malformed; lines are NAME=value, and a value with spaces \
                 belongs in quotes"
            ),
            other => other.to_string(),
        })?;
        before = format!("after {name}");
        variables.insert(name, value);
    }
    Ok(variables)
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
    pub(super) fn value<T, const SECRET: bool>(
        &mut self,
        name: &'static str,
        default: &'static str,
        kind: &Kind<T, SECRET>,
    ) -> Option<T> {
        let given = (self.variable)(name).map(|value| value.trim().to_owned());
        let text = given.filter(|value| !value.is_empty());
        let text = text.as_deref().unwrap_or(default);
        let value = (kind.parse)(text);
        if value.is_none() {
            self.wrong.push(WrongSetting {
                name,
                value: if SECRET {
                    "[secret]".to_owned()
                } else {
                    without_secrets(text)
                },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_overrules_the_file_unless_it_is_empty() {
        let file = "2".to_owned();
        for (process, file, chosen) in [
            (Some("1"), Some(&file), Some("1")),
            (Some(" "), Some(&file), Some("2")),
            (None, Some(&file), Some("2")),
            (Some("1"), None, Some("1")),
            (None, None, None),
        ] {
            let choice = choose(process.map(Into::into), file);
            assert_eq!(choice.as_deref(), chosen);
        }
    }

    #[test]
    fn a_malformed_line_is_told_without_its_value() {
        for (file, place) in [
            ("PORT=1\nREDIS_URL=redis://:se cret@h\n", "after PORT"),
            ("secret\n", "at the beginning"),
        ] {
            let text = read_file(file.as_bytes()).expect_err(file);
            assert!(text.contains(place) && !text.contains("cret"), "{text}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_name() {
        let variables = read_file(b"\xef\xbb\xbfPORT=1\n").expect("valid");
        assert_eq!(variables["PORT"], "1");
    }
}
