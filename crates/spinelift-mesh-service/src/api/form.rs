//! Reading a form with an image in it.

use super::parts::{MAX_BETWEEN, Parts, is_too_much_between};
use crate::error::ApiError;
use crate::json;
use crate::request::wrong;
use crate::request_body::refusal;
use axum::body::Bytes;
use axum::extract::multipart::{Field, MultipartError};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use spinelift_mesh::image::ImageFormat;
use spinelift_mesh::parameters::{OPTION_GROUPS, OptionSpec, PARAMETERS};

/// Most bytes of a part that is no image.
const MAX_TEXT: usize = 64 * 1024;

/// Most parts of a form; twenty-six have a meaning.
const MAX_PARTS: usize = 64;

/// A form as far as it could be read.
#[derive(Default)]
pub(super) struct Form {
    /// The image, if it is one.
    pub(super) image: Option<Bytes>,
    /// The other parts, as they would stand in JSON: parameters that are parts of their own are
    /// in `parameters`, and what is empty is absent, as browsers send it.
    pub(super) fields: Map<String, Value>,
    /// What is wrong with them.
    pub(super) errors: Vec<Value>,
    /// Parameters that are parts of their own.
    own: Map<String, Value>,
}

impl Form {
    pub(super) async fn read(parts: &mut Parts, max_image: usize) -> Result<Self, ApiError> {
        let mut form = Self::default();
        let (mut seen, mut has_file) = (0, false);
        while let Some(mut part) = parts.next().await.map_err(unreadable)? {
            seen += 1;
            if seen > MAX_PARTS {
                let message = format!("The form must not have more than {MAX_PARTS} parts");
                form.errors.push(wrong("body", &Value::Null, &message));
                return Ok(form);
            }
            let name = part.name().unwrap_or_default().to_owned();
            if name == "file" {
                let bytes = read_part(&mut part, max_image).await?;
                let bytes = bytes.ok_or_else(|| image_too_large(max_image))?;
                match has_file {
                    true => form.refuse("file", &Value::Null, "must be there once"),
                    false => form.set_image(bytes),
                }
                has_file = true;
            } else if !is_known(&name) {
                // Warned of, whatever it holds and however often it comes.
                while part.chunk().await.map_err(unreadable)?.is_some() {}
                form.fields.insert(name, Value::Null);
            } else {
                match read_part(&mut part, MAX_TEXT).await? {
                    Some(bytes) => form.set(&name, &bytes),
                    None => {
                        while part.chunk().await.map_err(unreadable)?.is_some() {}
                        let reason = format!("must be at most {MAX_TEXT} bytes long");
                        form.refuse(&name, &Value::Null, &reason);
                    }
                }
            }
        }
        if !has_file {
            form.refuse("file", &Value::Null, "is required");
        }
        form.merge();
        Ok(form)
    }

    fn set_image(&mut self, bytes: Bytes) {
        match ImageFormat::detect(&bytes) {
            Ok(_) => self.image = Some(bytes),
            Err(error) => {
                let reason = format!("must be a PNG, WebP or JPEG: {error}");
                self.refuse("file", &Value::Null, &reason);
            }
        }
    }

    fn set(&mut self, name: &str, bytes: &[u8]) {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.refuse(name, &Value::Null, "must be UTF-8");
        };
        if text.is_empty() {
            return;
        }
        let is_parameter = is_parameter(name);
        let value = match name {
            _ if name == "parameters" || is_group(name) => {
                match json::read(bytes, json::MAX_VALUES) {
                    Ok(value) => value,
                    Err(error) => {
                        let reason = format!("must be JSON: {error}");
                        return self.refuse(name, &text.into(), &reason);
                    }
                }
            }
            _ if is_parameter => number(text),
            _ => text.into(),
        };
        let fields = match is_parameter {
            true => &mut self.own,
            false => &mut self.fields,
        };
        if fields.insert(name.to_owned(), value).is_some() {
            self.refuse(name, &Value::Null, "must be there once");
        }
    }

    /// Lays parameters that are parts of their own over the others.
    fn merge(&mut self) {
        if self.own.is_empty() {
            return;
        }
        let all = self.fields.entry("parameters").or_insert(Value::Null);
        if all.is_null() {
            *all = json!({});
        }
        // Anything else is an error that is told in a moment.
        let Value::Object(all) = all else {
            return;
        };
        // What belongs to a group lies over the group's own part.
        let own = std::mem::take(&mut self.own).into_iter();
        let (groups, single): (Vec<_>, Vec<_>) = own.partition(|(name, _)| is_group(name));
        for (name, value) in groups {
            lay_over(all.entry(name).or_insert(Value::Null), value);
        }
        for (name, value) in single {
            match OptionSpec::by_path(&name) {
                Some(spec) => spec.put(value, all),
                None => {
                    all.insert(name, value);
                }
            }
        }
    }

    fn refuse(&mut self, name: &str, value: &Value, reason: &str) {
        let name: String = name.chars().take(100).collect();
        let message = format!("{name} {reason}");
        self.errors.push(wrong(&name, value, &message));
    }
}

fn is_known(name: &str) -> bool {
    matches!(name, "parameters" | "preset" | "callback_url" | "job_id") || is_parameter(name)
}

/// Whether a part is a parameter, an optional one by its path, or a group of those.
fn is_parameter(name: &str) -> bool {
    let is_one = PARAMETERS.iter().any(|parameter| parameter.name == name);
    is_one || is_group(name) || OptionSpec::by_path(name).is_some()
}

fn is_group(name: &str) -> bool {
    OPTION_GROUPS.contains(&name)
}

/// What an object does not name stays as it is.
fn lay_over(all: &mut Value, value: Value) {
    match (all, value) {
        (Value::Object(all), Value::Object(value)) => all.extend(value),
        (all, value) => *all = value,
    }
}

/// A number if it is one; the check of the parameters says if it should have been.
fn number(text: &str) -> Value {
    match serde_json::from_str(text.trim()) {
        Ok(value @ Value::Number(_)) => value,
        _ => text.into(),
    }
}

/// The bytes of a part, or `None` if there are more than so many.
async fn read_part(part: &mut Field<'_>, most: usize) -> Result<Option<Bytes>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(unreadable)? {
        if bytes.len() + chunk.len() > most {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    // Growing has made it up to twice as large as it is long.
    bytes.shrink_to_fit();
    Ok(Some(bytes.into()))
}

fn unreadable(error: MultipartError) -> ApiError {
    if let Some(refused) = refusal(&error) {
        return refused;
    }
    if is_too_much_between(&error) {
        return malformed(&format!(
            "the head of a part is longer than {MAX_BETWEEN} bytes"
        ));
    }
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::of_status(StatusCode::PAYLOAD_TOO_LARGE),
        _ => malformed(&error.body_text()),
    }
}

fn malformed(reason: &str) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "INVALID_FORM",
        format!("The form cannot be read: {reason}"),
        json!({}),
    )
}

fn image_too_large(limit: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "PAYLOAD_TOO_LARGE",
        format!("The image is larger than MAX_IMAGE_BYTES allows: {limit} bytes"),
        json!({ "max_image_bytes": limit }),
    )
}
