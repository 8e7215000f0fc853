//! Reading requests: every mistake in them is found, not just the first.

mod batch;
mod echo;
mod fields;
mod query;

pub(crate) use batch::{BatchRequest, MAX_BATCH_ID};
pub(crate) use echo::wrong;
pub(crate) use fields::MAX_URL;
pub(crate) use query::warn_of_unknown;

use crate::address::AddressPolicy;
use crate::job::{JobId, JobRequest, Source};
use fields::Fields;
use serde_json::{Map, Value, json};
use spinelift_mesh::MeshParameters;

/// Most mistakes that one answer lists.
pub(crate) const MAX_ERRORS: usize = 100;

const FIELDS: [&str; 5] = [
    "image_url",
    "parameters",
    "preset",
    "callback_url",
    "job_id",
];

/// A request that can become a job.
#[derive(Debug)]
pub(crate) struct MeshRequest {
    /// The name that the client gave it.
    pub(crate) id: Option<JobId>,
    pub(crate) request: JobRequest,
    /// What was ignored, as `{"code", "message"}`.
    pub(crate) warnings: Vec<Value>,
}

/// All that is wrong with a request: `{"field", "value", "message", …}` each; never empty.
#[derive(Debug)]
pub(crate) struct Invalid(pub(crate) Vec<Value>);

impl Invalid {
    /// Mistakes, as many of them as an answer lists.
    pub(crate) fn new(mut errors: Vec<Value>) -> Self {
        errors.truncate(MAX_ERRORS);
        Self(errors)
    }

    /// One mistake.
    pub(crate) fn one(field: &str, value: &Value, message: &str) -> Self {
        Self(vec![wrong(field, value, message)])
    }

    /// The body was not read to its end.
    pub(crate) fn too_many_values(most: usize) -> Self {
        let message = format!("The request must not hold more than {most} values");
        Self::one("body", &json!({}), &message)
    }
}

impl MeshRequest {
    /// Reads the body of a request that names its image.
    pub(crate) fn read(body: &Value, policy: &AddressPolicy) -> Result<Self, Invalid> {
        let mut fields = Fields::new(object(body)?, policy);
        let source = fields.image_url().map(Source::Url);
        Self::finish(fields, source, &FIELDS)
    }

    /// Reads the fields that came with an image; `source` is missing if it is wrong, and the
    /// errors say why.
    pub(crate) fn read_upload(
        form: &Map<String, Value>,
        source: Option<Source>,
        errors: Vec<Value>,
        policy: &AddressPolicy,
    ) -> Result<Self, Invalid> {
        let mut fields = Fields::new(form, policy);
        fields.errors = errors;
        // An image_url would be ignored.
        Self::finish(fields, source, &FIELDS[1..])
    }

    fn finish(
        mut fields: Fields<'_>,
        source: Option<Source>,
        known: &[&str],
    ) -> Result<Self, Invalid> {
        let base = fields.preset().unwrap_or_default();
        let parameters = fields.parameters_over(base);
        let callback_url = fields.callback_url();
        let id = fields.id("job_id");
        fields.warn_of_unknown(known);
        match (source, parameters) {
            (Some(source), Some(parameters)) if fields.errors.is_empty() => Ok(Self {
                id,
                request: JobRequest {
                    source,
                    parameters,
                    callback_url,
                },
                warnings: fields.warnings(),
            }),
            _ => Err(Invalid::new(fields.errors)),
        }
    }
}

/// Checks parameters alone; with them what was ignored.
pub(crate) fn read_parameters(
    body: &Value,
    policy: &AddressPolicy,
) -> Result<(MeshParameters, Vec<Value>), Invalid> {
    let mut fields = Fields::new(object(body)?, policy);
    let base = fields.preset().unwrap_or_default();
    let parameters = fields.parameters_over(base);
    fields.warn_of_unknown(&["parameters", "preset"]);
    match parameters {
        Some(parameters) if fields.errors.is_empty() => Ok((parameters, fields.warnings())),
        _ => Err(Invalid::new(fields.errors)),
    }
}

fn object(body: &Value) -> Result<&Map<String, Value>, Invalid> {
    let message = "The request must be a JSON object";
    body.as_object()
        .ok_or_else(|| Invalid::one("body", body, message))
}
