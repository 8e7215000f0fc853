//! The fields of a request, each of which is read on its own.

use super::echo::{MAX_ECHO, echo, start_of, wrong};
use crate::address::{AddressPolicy, Refused};
use crate::job::JobId;
use crate::redacted::RedactedUrl;
use serde_json::{Map, Value, json};
use spinelift_mesh::parameters::{PRESETS, Preset};
use spinelift_mesh::{MAX_WARNINGS, MeshParameters, Warning};
use url::Url;

/// Longest URL, in bytes.
pub(crate) const MAX_URL: usize = 2048;

/// Reads field after field of an object; what is wrong is noted and leaves the field without a
/// value, as if it were absent.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    policy: &'a AddressPolicy,
    /// What stands before the names in errors: `images[3].`, or nothing.
    path: String,
    pub(super) errors: Vec<Value>,
    warnings: Vec<Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(object: &'a Map<String, Value>, policy: &'a AddressPolicy) -> Self {
        Self {
            object,
            policy,
            path: String::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Fields of an object further in; errors and warnings are added to these.
    pub(super) fn within<T>(
        &mut self,
        path: String,
        object: &'a Map<String, Value>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let outer = std::mem::replace(&mut self.object, object);
        let outer_path = std::mem::replace(&mut self.path, path);
        let value = read(self);
        self.object = outer;
        self.path = outer_path;
        value
    }

    /// The value of a field; `null` counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn image_url(&mut self) -> Option<RedactedUrl> {
        if self.get("image_url").is_none() {
            self.refuse("image_url", &Value::Null, "is required");
        }
        self.url("image_url", read_image_url)
    }

    pub(super) fn callback_url(&mut self) -> Option<RedactedUrl> {
        self.url("callback_url", read_web_url)
    }

    fn url(&mut self, name: &str, read: ReadUrl) -> Option<RedactedUrl> {
        let value = self.get(name)?;
        match read_url(value).and_then(|url| read(url, self.policy)) {
            Ok(url) => Some(url),
            Err(reason) => {
                self.refuse(name, value, &reason);
                None
            }
        }
    }

    /// The parameters of the preset that is named.
    pub(super) fn preset(&mut self) -> Option<MeshParameters> {
        let value = self.get("preset")?;
        let preset = value.as_str().and_then(Preset::by_name);
        if preset.is_none() {
            let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
            self.refuse(
                "preset",
                value,
                &format!("must be one of {}", names.join(", ")),
            );
        }
        preset.map(|preset| preset.parameters)
    }

    /// The parameters that are given, over others.
    pub(super) fn parameters_over(&mut self, base: MeshParameters) -> Option<MeshParameters> {
        let given = self.object.get("parameters").unwrap_or(&Value::Null);
        match MeshParameters::from_json_over(given, base) {
            Ok((parameters, warnings)) => {
                self.warn(warnings.iter().map(warning));
                Some(parameters)
            }
            Err(errors) => {
                let path = &self.path;
                self.errors.extend(errors.0.into_iter().map(|mut error| {
                    // Before the message is made, which repeats it.
                    error.value = echo(&error.value);
                    let mut details = error.details();
                    details["field"] = match error.name.as_str() {
                        "parameters" => format!("{path}parameters"),
                        name => format!("{path}parameters.{name}"),
                    }
                    .into();
                    details
                }));
                None
            }
        }
    }

    pub(super) fn id(&mut self, name: &str) -> Option<JobId> {
        let value = self.get(name)?;
        match value.as_str().map(JobId::parse) {
            Some(Ok(id)) => return Some(id),
            Some(Err(error)) => self.refuse(name, value, &error.to_string()),
            None => self.refuse(name, value, "must be a string"),
        }
        None
    }

    pub(super) fn warn_of_unknown(&mut self, known: &[&str]) {
        let unknown = self
            .object
            .keys()
            .filter(|name| !known.contains(&name.as_str()));
        let path = self.path.clone();
        self.warn(unknown.map(|name| {
            let name: String = name.escape_debug().take(MAX_ECHO).collect();
            json!({
                "code": "UNKNOWN_FIELD",
                "message": format!("unknown field `{path}{name}` was ignored"),
            })
        }));
    }

    fn warn(&mut self, warnings: impl Iterator<Item = Value>) {
        let room = MAX_WARNINGS.saturating_sub(self.warnings.len());
        self.warnings.extend(warnings.take(room));
    }

    pub(super) fn warnings(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.warnings)
    }

    /// Notes a mistake; the reason goes after the field's name.
    pub(super) fn refuse(&mut self, name: &str, value: &Value, reason: &str) {
        let field = format!("{}{name}", self.path);
        let message = format!("{field} {reason}");
        self.errors.push(wrong(&field, value, &message));
    }
}

/// Judges a URL.
type ReadUrl = fn(Url, &AddressPolicy) -> Result<RedactedUrl, String>;

/// The URL in a value, or what is wrong with it.
fn read_url(value: &Value) -> Result<Url, String> {
    let text = value.as_str().ok_or("must be a string")?;
    if text.len() > MAX_URL {
        return Err(format!(
            "must be at most {MAX_URL} bytes long, not {}",
            text.len()
        ));
    }
    Url::parse(text).map_err(|error| format!("must be a URL: {error}"))
}

fn read_image_url(url: Url, policy: &AddressPolicy) -> Result<RedactedUrl, String> {
    if url.scheme() != "s3" {
        return read_web_url(url, policy);
    }
    match policy.object(&url) {
        Ok(_) => Ok(RedactedUrl::new(url)),
        Err(refused) => Err(format!("is refused: {refused}")),
    }
}

fn read_web_url(mut url: Url, policy: &AddressPolicy) -> Result<RedactedUrl, String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must be an http or https URL".into());
    }
    // Never sent to a server; without it two requests for one image are the same.
    url.set_fragment(None);
    match policy.check(&url) {
        Ok(_) => Ok(RedactedUrl::new(url)),
        Err(refused @ (Refused::NotPublic { .. } | Refused::Metadata { .. })) => {
            Err(format!("is refused: {refused}"))
        }
    }
}

fn warning(warning: &Warning) -> Value {
    json!({ "code": warning.code(), "message": start_of(&warning.to_string()) })
}
