//! `?format=` of a result: the mesh as other programs read it.
//!
//! The service keeps meshes, not images: where a format has the image in it, and the operator allows
//! for it, that is loaded again from its URL, within all limits of a job's image, and must still be
//! the one that the mesh was made of.

use crate::engine::ResultKey;
use crate::error::ApiError;
use crate::job::{Job, JobError, JobId, Source};
use crate::memory::MemoryBudget;
use crate::metrics::{Held, Metrics};
use crate::request::Invalid;
use crate::settings::Settings;
use crate::source::{Image, Sources};
use crate::stopwatch::Stopwatch;
use crate::worker::CpuSlots;
use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::{Value, json};
use spinelift_mesh::export::{ExportError, Format, Sprite, write};
use spinelift_mesh::image::ImageHeader;
use spinelift_mesh::import::{Document, ReadError};
use spinelift_mesh::shape::ShapeError;
use spinelift_mesh::{Limits, Shape, memory};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The name of the result itself.
const JSON: &str = "json";

/// Images that are loaded at a time: those of jobs come first.
const LOADS: usize = 4;

/// The format that a query asks for, if it is another than the result's own.
pub(super) fn wanted(query: &str) -> Result<Option<Format>, Invalid> {
    let mut named = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "format")
        .map(|(_, value)| value);
    let Some(name) = named.next() else {
        return Ok(None);
    };
    let wrong = |message: String| Err(Invalid::one("format", &Value::from(&*name), &message));
    if named.next().is_some() {
        return wrong("format must be given once".to_owned());
    }
    match Format::named(&name) {
        _ if name == JSON => Ok(None),
        Some(format) => Ok(Some(format)),
        None => wrong(format!("format must be one of {}", names(|_| true))),
    }
}

/// The names of formats, and of the result itself.
fn names(is_meant: impl Fn(Format) -> bool) -> String {
    let formats = Format::ALL.into_iter().filter(|format| is_meant(*format));
    let names: Vec<_> = std::iter::once(JSON)
        .chain(formats.map(Format::name))
        .collect();
    names.join(", ")
}

/// What a browser saves the file as.
pub(super) fn disposition(id: &JobId, format: Format) -> String {
    // Windows has no colons in names.
    let name = id.as_str().replace(':', "_");
    format!("attachment; filename=\"{name}.{}\"", format.extension())
}

/// Why a result cannot be written in a format.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Shape(#[from] ShapeError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error("the result is a skeleton")]
    Skeleton,
    #[error("a panic: {0}")]
    Panicked(String),
}

/// Writes results in other formats.
#[derive(Clone)]
pub(crate) struct Exports {
    sources: Sources,
    memory: MemoryBudget,
    metrics: Arc<Metrics>,
    limits: Limits,
    /// Whether images may be given out: the setting `RESULT_IMAGES`.
    gives_images: bool,
    /// How long loading an image may take, with the waiting of the request.
    timeout: Duration,
    loads: Arc<Semaphore>,
    /// Jobs have slots of their own: nobody who waits for a file waits for them.
    slots: CpuSlots,
}

impl Exports {
    /// `limits` are those of jobs.
    pub(crate) fn new(
        sources: Sources,
        memory: MemoryBudget,
        metrics: Arc<Metrics>,
        limits: Limits,
        settings: &Settings,
    ) -> Self {
        Self {
            sources,
            memory,
            metrics,
            // They held when the mesh was made, and may have been others.
            limits: Limits {
                max_mesh_vertices: usize::MAX,
                ..limits
            },
            gives_images: settings.result_images,
            timeout: settings.request_timeout,
            loads: Arc::new(Semaphore::new(LOADS)),
            slots: CpuSlots::per_core(),
        }
    }

    /// Writes the mesh of a job in a format.
    pub(super) async fn write(
        &self,
        job: &Job,
        mesh: Bytes,
        format: Format,
    ) -> Result<Bytes, ApiError> {
        let image = match format.needs_image() {
            true => Some(self.image(job, format).await?),
            false => None,
        };
        let header = image
            .as_ref()
            .and_then(|image| ImageHeader::read(&image.bytes, &self.limits).ok());
        let memory = memory::export(header.as_ref(), mesh.len());
        let memory = self.memory.computing(memory).await;
        let memory = memory.map_err(|error| not_possible(job, format, error.to_string()))?;
        let (name, limits) = (job.id.to_string(), self.limits);
        let written = self.slots.run(move |_| {
            let _memory = memory;
            convert(&mesh, &name, format, image.as_ref(), &limits)
        });
        let failed = match written.await {
            Ok(Ok(bytes)) => return Ok(bytes.into()),
            Ok(Err(failed)) => failed,
            Err(panicked) => Failed::Panicked(panicked.0),
        };
        match failed {
            Failed::Export(
                error @ (ExportError::TooManyVertices { .. } | ExportError::Image(_)),
            ) => Err(not_possible(job, format, error.to_string())),
            failed => {
                tracing::error!(
                    job_id = %job.id, format = format.name(), error = %failed,
                    "a result cannot be written"
                );
                Err(ApiError::internal())
            }
        }
    }

    /// The image that the mesh of a job was made of.
    async fn image(&self, job: &Job, format: Format) -> Result<Image, ApiError> {
        let refused = |reason: &str| {
            let message = format!(
                "{} needs the image, and {reason}; the mesh can be had as {}, and the command line \
                 writes all formats",
                format.name(),
                names(|format| !format.needs_image())
            );
            Err(not_possible(job, format, message))
        };
        if !self.gives_images {
            return refused("this service gives no images out (RESULT_IMAGES)");
        }
        let Source::Url(url) = &job.request.source else {
            return refused("one that was uploaded is not kept");
        };
        // The semaphore is never closed.
        let _load = self.loads.acquire().await.ok();
        let _loading = Held::new(&self.metrics.sources.downloads);
        let stopwatch = Stopwatch::start(self.timeout);
        let image = self.sources.load(url, &stopwatch).await.map_err(|error| {
            let may_pass = error.may_pass();
            let error = JobError::from(error);
            self.metrics.sources.failed(&error);
            let (status, code) = (StatusCode::BAD_GATEWAY, "IMAGE_LOAD_FAILED");
            let error = ApiError::new(status, code, error.message, error.details);
            match may_pass {
                true => error.come_back_later(),
                false => error,
            }
        })?;
        self.metrics.sources.bytes.record(image.bytes.len() as f64);
        match is_of(job, &image) {
            true => Ok(image),
            false => Err(ApiError::new(
                StatusCode::CONFLICT,
                "IMAGE_CHANGED",
                "The image at its URL is not the one that the mesh was made of any more, or the mesh \
                 is of an older version; make it anew",
                json!({ "job_id": job.id.as_str(), "format": format.name() }),
            )),
        }
    }
}

/// Whether the result of a job is that of an image: its name tells.
fn is_of(job: &Job, image: &Image) -> bool {
    let key = ResultKey::new(&image.digest, &job.request.parameters);
    let result = job.result.as_ref();
    result.is_some_and(|result| result.has_key(&key) || result.has_key(&key.for_one(job)))
}

fn not_possible(job: &Job, format: Format, message: String) -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "FORMAT_NOT_POSSIBLE",
        message,
        json!({ "job_id": job.id.as_str(), "format": format.name() }),
    )
}

fn convert(
    mesh: &[u8],
    name: &str,
    format: Format,
    image: Option<&Image>,
    limits: &Limits,
) -> Result<Vec<u8>, Failed> {
    let shape: Shape = match Document::read(mesh, limits)? {
        Document::Mesh(mesh) => mesh.shape(mesh.size.unwrap_or_default())?,
        Document::Spine(_) => return Err(Failed::Skeleton),
    };
    let sprite = Sprite {
        name,
        texture: &format!("{name}.png"),
        shape: &shape,
    };
    let image = image.map(|image| &*image.bytes);
    Ok(write(format, &sprite, image, limits)?)
}
