//! `?format=` of a result: the mesh as other programs read it.
//!
//! The service keeps meshes, not images, so what cannot be made without the image is not offered.

use crate::error::ApiError;
use crate::job::JobId;
use crate::request::Invalid;
use crate::worker::CpuSlots;
use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::{Value, json};
use spinelift_mesh::export::{ExportError, Format, Sprite, write};
use spinelift_mesh::import::{Document, ReadError};
use spinelift_mesh::shape::ShapeError;
use spinelift_mesh::{Limits, Shape};

/// The name of the result itself.
const JSON: &str = "json";

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
        Some(format) if !format.needs_image() => Ok(Some(format)),
        Some(_) => wrong(format!(
            "{name} needs the image, which the service does not keep; it has {}, and the command \
             line all of them",
            offered()
        )),
        None => wrong(format!("format must be one of {}", offered())),
    }
}

fn offered() -> String {
    let formats = Format::ALL.into_iter();
    let names = formats
        .filter(|format| !format.needs_image())
        .map(Format::name);
    std::iter::once(JSON)
        .chain(names)
        .collect::<Vec<_>>()
        .join(", ")
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

/// Writes the mesh of a job in a format.
pub(super) async fn export(
    slots: &CpuSlots,
    id: &JobId,
    mesh: Bytes,
    format: Format,
) -> Result<Bytes, ApiError> {
    let name = id.to_string();
    let written = slots.run(move |_| convert(&mesh, &name, format)).await;
    let failed = match written {
        Ok(Ok(bytes)) => return Ok(bytes.into()),
        Ok(Err(failed)) => failed,
        Err(panicked) => Failed::Panicked(panicked.0),
    };
    if let Failed::Export(ExportError::TooManyVertices { count, limit }) = failed {
        let details = json!({ "job_id": id.as_str(), "vertices": count, "limit": limit });
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "FORMAT_NOT_POSSIBLE",
            failed.to_string(),
            details,
        ));
    }
    tracing::error!(job_id = %id, format = format.name(), error = %failed, "a result cannot be written");
    Err(ApiError::internal())
}

fn convert(mesh: &[u8], name: &str, format: Format) -> Result<Vec<u8>, Failed> {
    // Limits held when it was made, and may have been others.
    let limits = Limits {
        max_mesh_vertices: usize::MAX,
        ..Limits::DEFAULT
    };
    let shape: Shape = match Document::read(mesh, &limits)? {
        Document::Mesh(mesh) => mesh.shape(mesh.size.unwrap_or_default())?,
        Document::Spine(_) => return Err(Failed::Skeleton),
    };
    let sprite = Sprite {
        name,
        texture: &format!("{name}.png"),
        shape: &shape,
    };
    Ok(write(format, &sprite, None, &limits)?)
}

/// What a browser saves the file as.
pub(super) fn disposition(id: &JobId, format: Format) -> String {
    // Windows has no colons in names.
    let name = id.as_str().replace(':', "_");
    format!("attachment; filename=\"{name}.{}\"", format.extension())
}
