//! `POST …/parameters/validate`: checks parameters without making a job.

use super::Api;
use super::document::Document;
use super::generate::Warning;
use super::openapi::{FieldError, NormalizedParameters, Parameters, PresetName};
use crate::error::ApiError;
use crate::json;
use crate::request::{read_parameters, warn_of_unknown};
use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use serde_json::Value;
use spinelift_mesh::MeshParameters;
use utoipa::ToSchema;

/// Parameters to be checked. Other fields are ignored, and named in `warnings`.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what is read field by field")]
pub(super) struct ValidateRequest {
    /// They lie over the preset's, or over the defaults.
    #[schema(value_type = Option<Parameters>)]
    parameters: Option<()>,
    #[schema(value_type = Option<PresetName>)]
    preset: Option<()>,
}

/// What is to be said of parameters.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Verdict {
    Valid(ValidParameters),
    Invalid(InvalidParameters),
}

/// They can be used.
#[derive(Serialize, ToSchema)]
pub(super) struct ValidParameters {
    /// `true`.
    #[schema(default = true)]
    valid: bool,
    /// All nine as they would be used, and the optional ones that are not defaults.
    #[schema(value_type = NormalizedParameters)]
    parameters: MeshParameters,
    /// What was ignored.
    #[schema(value_type = Vec<Warning>)]
    warnings: Vec<Value>,
}

/// They cannot be used.
#[derive(Serialize, ToSchema)]
pub(super) struct InvalidParameters {
    /// `false`.
    #[schema(default = false)]
    valid: bool,
    /// All that is wrong with them.
    #[schema(value_type = Vec<FieldError>)]
    errors: Vec<Value>,
}

/// Checks parameters, and answers them as they would be used, or all that is wrong.
#[utoipa::path(
    post, path = "/parameters/validate", tag = "parameters", operation_id = "validate_parameters",
    request_body = ValidateRequest,
    responses((status = 200, description = "The verdict, whichever it is.", body = Verdict)),
)]
pub(super) async fn validate(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    document: Document,
) -> Result<Json<Verdict>, ApiError> {
    let outbound = api.outbound.clone();
    let read = move |body: &Value| read_parameters(body, outbound.policy());
    let verdict = match document.read(&api, json::MAX_VALUES, read).await? {
        Ok((parameters, mut warnings)) => {
            warn_of_unknown(query.as_deref(), &[], &mut warnings);
            Verdict::Valid(ValidParameters {
                valid: true,
                parameters,
                warnings,
            })
        }
        Err(invalid) => Verdict::Invalid(InvalidParameters {
            valid: false,
            errors: invalid.0,
        }),
    };
    Ok(Json(verdict))
}
