//! Requests for many meshes at once.

use super::fields::Fields;
use super::{Invalid, object};
use crate::address::AddressPolicy;
use crate::job::{JobId, JobRequest, Source};
use crate::redacted::RedactedUrl;
use serde_json::Value;
use spinelift_mesh::MeshParameters;
use spinelift_mesh::parameters::{OPTION_GROUPS, OPTIONS, OptionSpec, PARAMETERS};
use std::collections::HashMap;

/// Longest name of a batch, in characters: `-10000` may follow it.
pub(crate) const MAX_BATCH_ID: usize = JobId::MAX_LENGTH - 6;

const FIELDS: [&str; 5] = ["batch_id", "images", "parameters", "preset", "callback_url"];
const IMAGE_FIELDS: [&str; 4] = ["image_url", "job_id", "parameters", "preset"];

/// A request that can become a batch.
#[derive(Debug)]
pub(crate) struct BatchRequest {
    pub(crate) id: JobId,
    pub(crate) jobs: Vec<(JobId, JobRequest)>,
    pub(crate) callback_url: Option<RedactedUrl>,
    /// What was ignored, as `{"code", "message"}`.
    pub(crate) warnings: Vec<Value>,
}

/// What holds for all images of a batch.
struct Shared {
    /// The batch's preset with its parameters over it.
    base: MeshParameters,
    /// Its parameters alone, checked and without names that are none: those are read for each image
    /// that has a preset of its own.
    parameters: Value,
}

impl BatchRequest {
    /// Reads the body of a request for at most so many images.
    pub(crate) fn read(body: &Value, most: usize, policy: &AddressPolicy) -> Result<Self, Invalid> {
        let mut fields = Fields::new(object(body)?, policy);
        let preset = fields.preset().unwrap_or_default();
        let shared = match fields.parameters_over(preset) {
            Some(base) => Shared {
                base,
                parameters: known_parameters(fields.get("parameters")),
            },
            None => Shared {
                base: preset,
                parameters: Value::Null,
            },
        };
        let callback_url = fields.callback_url();
        let id = read_id(&mut fields);
        let images = read_images(&mut fields, &shared, most);
        let jobs = name_jobs(&mut fields, &id, images);
        fields.warn_of_unknown(&FIELDS);
        if !fields.errors.is_empty() {
            return Err(Invalid::new(fields.errors));
        }
        Ok(Self {
            id,
            jobs,
            callback_url,
            warnings: fields.warnings(),
        })
    }
}

fn known_parameters(given: Option<&Value>) -> Value {
    let given = given.and_then(Value::as_object);
    let known = |name: &str| {
        let value = given?.get(name)?;
        Some((name.to_owned(), value.clone()))
    };
    let names = PARAMETERS.iter().map(|spec| spec.name.to_owned());
    let groups = OPTION_GROUPS.iter().map(|&group| group.to_owned());
    let singles = OPTIONS.iter().map(OptionSpec::path);
    let names = names.chain(groups).chain(singles);
    Value::Object(names.filter_map(|name| known(&name)).collect())
}

/// Name and request of each image, as far as they are right.
type Images = Vec<(Option<JobId>, Option<JobRequest>)>;

fn read_images(fields: &mut Fields<'_>, shared: &Shared, most: usize) -> Images {
    let value = fields.get("images");
    let Some(images) = value.and_then(Value::as_array) else {
        let reason = match value {
            None => "is required",
            Some(_) => "must be a list of objects with an image_url each",
        };
        fields.refuse("images", value.unwrap_or(&Value::Null), reason);
        return Vec::new();
    };
    if !(1..=most).contains(&images.len()) {
        let given = images.len();
        let reason = format!("must hold 1 to {most} images (MAX_BATCH_SIZE), not {given}");
        fields.refuse("images", &Value::Array(Vec::new()), &reason);
        return Vec::new();
    }
    let numbered = images.iter().enumerate();
    numbered
        .map(|(index, image)| match image.as_object() {
            Some(image) => {
                let path = format!("images[{index}].");
                fields.within(path, image, |fields| read_image(fields, shared))
            }
            None => {
                let name = format!("images[{index}]");
                fields.refuse(&name, image, "must be an object with an image_url");
                (None, None)
            }
        })
        .collect()
}

fn read_image(fields: &mut Fields<'_>, shared: &Shared) -> (Option<JobId>, Option<JobRequest>) {
    // Without a field of that name there is nothing to be read, and nothing to be refused.
    let base = fields.preset().map_or(shared.base, |preset| {
        MeshParameters::from_json_over(&shared.parameters, preset)
            .map_or(shared.base, |(parameters, _)| parameters)
    });
    let parameters = fields.parameters_over(base);
    let source = fields.image_url().map(Source::Url);
    let id = fields.id("job_id");
    fields.warn_of_unknown(&IMAGE_FIELDS);
    let request = source
        .zip(parameters)
        .map(|(source, parameters)| JobRequest {
            source,
            parameters,
            callback_url: None,
        });
    (id, request)
}

/// The batch's name, or a new one.
fn read_id(fields: &mut Fields<'_>) -> JobId {
    let given = fields.id("batch_id");
    if let Some(id) = &given
        && id.as_str().len() > MAX_BATCH_ID
    {
        let reason = format!(
            "must be at most {MAX_BATCH_ID} characters long: the numbers of the images follow it"
        );
        fields.refuse("batch_id", &id.as_str().into(), &reason);
    }
    given.unwrap_or_else(JobId::generate)
}

/// Gives every job a name of its own: the client's, or the batch's and a number from 1 on.
fn name_jobs(fields: &mut Fields<'_>, batch: &JobId, images: Images) -> Vec<(JobId, JobRequest)> {
    let mut jobs = Vec::with_capacity(images.len());
    let mut taken: HashMap<JobId, String> = HashMap::new();
    taken.insert(batch.clone(), "batch_id".to_owned());
    for (index, (given, request)) in images.into_iter().enumerate() {
        let name = format!("images[{index}].job_id");
        let numbered = || JobId::parse(&format!("{batch}-{}", index + 1)).ok();
        // Of a batch whose name is too long there will be no jobs anyway.
        let Some(id) = given.or_else(numbered) else {
            continue;
        };
        match taken.get(&id) {
            Some(other) => {
                let reason = format!("must not be the same as {other}");
                fields.refuse(&name, &id.as_str().into(), &reason);
            }
            None => {
                taken.insert(id.clone(), name);
            }
        }
        jobs.extend(request.map(|request| (id, request)));
    }
    jobs
}
