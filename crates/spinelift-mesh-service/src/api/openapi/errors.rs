//! Which errors each operation may answer with.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// An answer that is none.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what is made as JSON")]
pub(super) struct ErrorBody {
    error: ErrorObject,
}

/// What went wrong.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what is made as JSON")]
pub(super) struct ErrorObject {
    /// For programs.
    #[schema(example = "VALIDATION_ERROR")]
    code: String,
    /// For people: what happened, and what to do.
    #[schema(example = "Invalid request: image_url is required")]
    message: String,
    /// What is behind the message. Of a `VALIDATION_ERROR`: `errors`, a list of `FieldError`.
    #[schema(value_type = Object)]
    details: (),
}

/// Which operations an error concerns.
enum Of {
    All,
    /// All but health checks.
    Api,
    /// Those with a request body.
    Bodies,
    These(&'static [&'static str]),
}

use Of::{All, Api, Bodies, These};

/// Status, code, meaning, operations.
const ERRORS: &[(u16, &str, &str, Of)] = &[
    (400, "BAD_REQUEST", "the request is malformed", All),
    (
        400,
        "INVALID_JSON",
        "the body is not JSON",
        These(&["generate", "generate_batch", "validate_parameters"]),
    ),
    (
        400,
        "INVALID_FORM",
        "the form breaks off or is malformed",
        These(&["upload"]),
    ),
    (
        401,
        "UNAUTHORIZED",
        "the service has API_KEYS, and the request brings none of them",
        All,
    ),
    (
        403,
        "URL_EXPIRED",
        "the URL was signed too long ago",
        These(&["get_result"]),
    ),
    (
        403,
        "URL_SIGNATURE_INVALID",
        "the URL's signature is not right",
        These(&["get_result"]),
    ),
    (
        403,
        "ORIGIN_NOT_ALLOWED",
        "there are no API_KEYS, and a web page of an origin that CORS_ORIGINS does not name sends the \
         request",
        These(CHANGES),
    ),
    (
        404,
        "JOB_NOT_FOUND",
        "there is no job with this id",
        These(ON_JOBS),
    ),
    (
        404,
        "DELIVERY_NOT_FOUND",
        "there is no delivery with this id of this job",
        These(&["replay_delivery"]),
    ),
    (
        404,
        "NOT_FOUND",
        "an id with an unescaped `/` in it is another path",
        These(ON_JOBS),
    ),
    (
        405,
        "METHOD_NOT_ALLOWED",
        "the path does not know the method",
        All,
    ),
    (
        408,
        "BODY_TIMEOUT",
        "the body stopped coming for longer than BODY_TIMEOUT",
        Bodies,
    ),
    (
        408,
        "REQUEST_TIMEOUT",
        "the request took longer than REQUEST_TIMEOUT",
        All,
    ),
    (
        409,
        "JOB_ID_CONFLICT",
        "the id is taken by another request",
        These(&["generate", "upload", "generate_batch"]),
    ),
    (
        409,
        "IDEMPOTENCY_KEY_CONFLICT",
        "the key was used for another request",
        These(&["generate", "upload"]),
    ),
    (
        409,
        "JOB_NOT_COMPLETED",
        "the job has no result, or none yet",
        These(&["get_result"]),
    ),
    (
        409,
        "IMAGE_CHANGED",
        "the format needs the image, and the one at its URL is not the one that the mesh was made of",
        These(&["get_result"]),
    ),
    (
        409,
        "JOB_NOT_FINISHED",
        "the job has not ended; cancel it first",
        These(DELETE),
    ),
    (
        410,
        "RESULT_GONE",
        "the result was removed from the storage",
        These(&["get_result", "generate", "upload"]),
    ),
    (
        413,
        "PAYLOAD_TOO_LARGE",
        "the body is larger than MAX_REQUEST_SIZE, a document than MAX_JSON_SIZE, or an image than \
         MAX_IMAGE_BYTES",
        Bodies,
    ),
    (
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        "the body is not multipart/form-data",
        These(&["upload"]),
    ),
    (
        421,
        "HOST_NOT_ALLOWED",
        "there are no API_KEYS, the service listens on this machine alone, and the Host header names \
         neither that nor what PUBLIC_URL does",
        Api,
    ),
    (
        422,
        "VALIDATION_ERROR",
        "something is wrong with the values; `details.errors` has all of it",
        These(&[
            "generate",
            "upload",
            "generate_batch",
            "list_jobs",
            "validate_parameters",
            "get_result",
        ]),
    ),
    (
        422,
        "FORMAT_NOT_POSSIBLE",
        "the format does not take so many vertices, or needs the image, which RESULT_IMAGES does not allow \
         for, which was uploaded, or whose colours cannot be read",
        These(&["get_result"]),
    ),
    (
        429,
        "TOO_MANY_JOBS",
        "the client has MAX_JOBS_PER_CLIENT unfinished jobs",
        These(&["generate", "upload", "generate_batch"]),
    ),
    (
        429,
        "TOO_MANY_STREAMS_OF_CLIENT",
        "a quarter of MAX_CONNECTIONS are held for this client",
        These(&["watch_job"]),
    ),
    (
        500,
        "INTERNAL_ERROR",
        "a defect of the service, which is in its log",
        All,
    ),
    (
        502,
        "IMAGE_LOAD_FAILED",
        "the format needs the image, which cannot be loaded again from its URL",
        These(&["get_result"]),
    ),
    (
        503,
        "MEMORY_BUDGET_EXHAUSTED",
        "other requests take all the memory for request bodies",
        Bodies,
    ),
    (
        503,
        "QUEUE_FULL",
        "MAX_QUEUE_LENGTH jobs wait",
        These(&["generate", "upload", "generate_batch"]),
    ),
    (
        503,
        "STORAGE_UNAVAILABLE",
        "jobs or results cannot be stored or read at the moment",
        All,
    ),
    (503, "SHUTTING_DOWN", "the service is shutting down", All),
    (
        503,
        "TOO_MANY_CONNECTIONS",
        "MAX_CONNECTIONS are open, and none of them ends",
        Api,
    ),
    (
        503,
        "TOO_MANY_STREAMS",
        "half of MAX_CONNECTIONS are held",
        These(&["watch_job"]),
    ),
    (
        503,
        "UPLOAD_STORAGE_FULL",
        "uploaded images that wait take all of MAX_UPLOAD_STORAGE",
        These(&["upload"]),
    ),
];

/// What changes something.
const CHANGES: &[&str] = &[
    "generate",
    "upload",
    "generate_batch",
    "validate_parameters",
    "cancel_job",
    "delete_job",
    "delete_job_generate",
    "delete_job_upload",
    "delete_job_batch",
    "replay_delivery",
];

const DELETE: &[&str] = &[
    "delete_job",
    "delete_job_generate",
    "delete_job_upload",
    "delete_job_batch",
];

const ON_JOBS: &[&str] = &[
    "get_status",
    "get_result",
    "watch_job",
    "cancel_job",
    "delete_job",
    "list_deliveries",
    "replay_delivery",
    "delete_job_generate",
    "delete_job_upload",
    "delete_job_batch",
];

impl Of {
    fn concerns(&self, operation: &str, has_body: bool) -> bool {
        match self {
            All => true,
            Api => operation != "health",
            Bodies => has_body,
            These(names) => names.contains(&operation),
        }
    }
}

/// Adds the errors of an operation to its answers.
pub(super) fn add(responses: &mut Map<String, Value>, operation: &str, has_body: bool) {
    let mut by_status: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for (status, code, meaning, of) in ERRORS {
        if of.concerns(operation, has_body) {
            let line = format!("`{code}`: {meaning}.");
            by_status.entry(*status).or_default().push(line);
        }
    }
    for (status, lines) in by_status {
        let schema = json!({ "$ref": "#/components/schemas/ErrorBody" });
        let response = json!({
            "description": lines.join("\n"),
            "content": { "application/json": { "schema": schema } },
        });
        responses.insert(status.to_string(), response);
    }
}
