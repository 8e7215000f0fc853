//! Reading a request for a mesh: every mistake in it is found, not just the first.

use crate::address::{AddressPolicy, Refused};
use crate::job::{JobId, JobRequest, Source};
use crate::redacted::RedactedUrl;
use serde_json::{Map, Value, json};
use spinelift_mesh::{MeshParameters, Warning};
use std::borrow::Cow;
use url::Url;

/// Longest URL, in bytes.
const MAX_URL: usize = 2048;

/// Most characters of a value that are repeated in the answer.
const MAX_ECHO: usize = 200;

/// Most warnings in one answer.
const MAX_WARNINGS: usize = 50;

const FIELDS: [&str; 4] = ["image_url", "parameters", "callback_url", "job_id"];

/// A request that can become a job.
#[derive(Debug)]
pub(crate) struct MeshRequest {
    pub(crate) id: JobId,
    pub(crate) request: JobRequest,
    /// What was ignored, as `{"code", "message"}`.
    pub(crate) warnings: Vec<Value>,
}

/// All that is wrong with a request: `{"field", "value", "message", …}` each; never empty.
#[derive(Debug)]
pub(crate) struct Invalid(pub(crate) Vec<Value>);

impl Invalid {
    /// The body was not read to its end.
    pub(crate) fn too_many_values(most: usize) -> Self {
        let message = format!("The request must not hold more than {most} values");
        Self(vec![wrong("body", &json!({}), &message)])
    }
}

impl MeshRequest {
    /// Reads the body of a request.
    pub(crate) fn read(body: &Value, policy: &AddressPolicy) -> Result<Self, Invalid> {
        let Value::Object(body) = body else {
            let message = "The request must be a JSON object";
            return Err(Invalid(vec![wrong("body", body, message)]));
        };
        let mut reader = Reader {
            body,
            policy,
            errors: Vec::new(),
        };
        let image_url = reader.image_url();
        let parameters = reader.parameters();
        let callback_url = reader.callback_url();
        let id = reader.job_id();
        match (image_url, parameters, id) {
            (Some(image_url), Some((parameters, mut warnings)), Some(id))
                if reader.errors.is_empty() =>
            {
                warnings.extend(unknown_fields(body));
                warnings.truncate(MAX_WARNINGS);
                Ok(Self {
                    id,
                    request: JobRequest {
                        source: Source::Url(image_url),
                        parameters,
                        callback_url,
                    },
                    warnings,
                })
            }
            _ => Err(Invalid(reader.errors)),
        }
    }
}

/// Reads field after field; what is wrong is noted and leaves the field without a value.
struct Reader<'a> {
    body: &'a Map<String, Value>,
    policy: &'a AddressPolicy,
    errors: Vec<Value>,
}

impl Reader<'_> {
    fn image_url(&mut self) -> Option<RedactedUrl> {
        match self.body.get("image_url") {
            None | Some(Value::Null) => {
                self.refuse("image_url", &Value::Null, "image_url is required");
                None
            }
            Some(value) => self.url("image_url", value),
        }
    }

    fn callback_url(&mut self) -> Option<RedactedUrl> {
        match self.body.get("callback_url") {
            None | Some(Value::Null) => None,
            Some(value) => self.url("callback_url", value),
        }
    }

    fn url(&mut self, field: &str, value: &Value) -> Option<RedactedUrl> {
        match read_url(value, self.policy) {
            Ok(url) => Some(url),
            Err(reason) => {
                self.refuse(field, value, &format!("{field} {reason}"));
                None
            }
        }
    }

    fn parameters(&mut self) -> Option<(MeshParameters, Vec<Value>)> {
        let given = self.body.get("parameters").unwrap_or(&Value::Null);
        match MeshParameters::from_json(given) {
            Ok((parameters, warnings)) => {
                let warnings = warnings.iter().map(warning).collect();
                Some((parameters, warnings))
            }
            Err(errors) => {
                self.errors.extend(errors.0.into_iter().map(|mut error| {
                    // Before the message is made, which repeats it.
                    error.value = echo(&error.value);
                    let mut details = error.details();
                    if error.name != "parameters" {
                        details["field"] = format!("parameters.{}", error.name).into();
                    }
                    details
                }));
                None
            }
        }
    }

    fn job_id(&mut self) -> Option<JobId> {
        match self.body.get("job_id") {
            None | Some(Value::Null) => Some(JobId::generate()),
            Some(value) => {
                let id = value.as_str().map(JobId::parse);
                match id {
                    Some(Ok(id)) => return Some(id),
                    Some(Err(error)) => self.refuse("job_id", value, &format!("job_id {error}")),
                    None => self.refuse("job_id", value, "job_id must be a string"),
                }
                None
            }
        }
    }

    fn refuse(&mut self, field: &str, value: &Value, message: &str) {
        self.errors.push(wrong(field, value, message));
    }
}

/// The URL in a value, or what is wrong with it, to be put after the field's name.
fn read_url(value: &Value, policy: &AddressPolicy) -> Result<RedactedUrl, String> {
    let text = value.as_str().ok_or("must be a string")?;
    if text.len() > MAX_URL {
        return Err(format!(
            "must be at most {MAX_URL} bytes long, not {}",
            text.len()
        ));
    }
    let mut url = Url::parse(text).map_err(|error| format!("must be a URL: {error}"))?;
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

fn unknown_fields(body: &Map<String, Value>) -> impl Iterator<Item = Value> {
    let unknown = body.keys().filter(|name| !FIELDS.contains(&name.as_str()));
    unknown.map(|name| {
        let name = start_of(&name.escape_debug().to_string());
        json!({
            "code": "UNKNOWN_FIELD",
            "message": format!("unknown field `{name}` was ignored"),
        })
    })
}

fn warning(warning: &Warning) -> Value {
    json!({ "code": warning.code(), "message": start_of(&warning.to_string()) })
}

fn start_of(text: &str) -> String {
    text.chars().take(MAX_ECHO).collect()
}

fn wrong(field: &str, value: &Value, message: &str) -> Value {
    json!({ "field": field, "value": echo(value), "message": message })
}

/// A wrong value as it is sent back: an answer is no place for a megabyte, or for the password
/// of a URL that some log will keep.
fn echo(value: &Value) -> Value {
    match value {
        Value::String(text) => match Url::parse(text) {
            Ok(url) if url.has_host() => start_of(&RedactedUrl::new(url).to_string()).into(),
            _ => start_of(&redacted(text)).into(),
        },
        Value::Array(_) => "[…]".into(),
        Value::Object(_) => "{…}".into(),
        other => other.clone(),
    }
}

/// A text without what would be a secret if it were a URL: it may be one with a mistake in it.
fn redacted(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.into();
    };
    let plain = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = plain.split_at(plain.find('/').unwrap_or(plain.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}").into()
}
