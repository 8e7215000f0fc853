//! From a sprite image to a 2D mesh.
#![warn(missing_docs)]

pub mod error;
pub mod limits;
pub mod mesh;
pub mod parameters;
pub mod progress;
pub mod warning;

pub use error::{Fault, MeshError};
pub use limits::Limits;
pub use mesh::{ALGORITHM_VERSION, Mesh, Metadata};
pub use parameters::MeshParameters;
pub use progress::{Observer, Step};
pub use warning::Warning;

/// Runs the whole pipeline: bytes of an image in, mesh out.
///
/// # Errors
/// See [`MeshError`].
pub fn generate(
    image: &[u8],
    parameters: &MeshParameters,
    limits: &Limits,
    observer: &mut dyn Observer,
) -> Result<Mesh, MeshError> {
    let _ = (image, parameters, limits, observer);
    Err(error::ImageLoadError::Empty.into())
}
