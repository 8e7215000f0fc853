//! From a sprite image to a 2D mesh: bytes in, outline, triangles and UVs out.
//!
//! ```
//! use spinelift_mesh::{Limits, MeshParameters, generate};
//!
//! let image = include_bytes!("../tests/images/shapes/star-with-thin-spikes.png");
//! let mesh = generate(image, &MeshParameters::default(), &Limits::default(), &mut ())?;
//! assert_eq!(mesh.uvs.len(), 2 * mesh.vertices.len());
//! # Ok::<(), spinelift_mesh::MeshError>(())
//! ```
//!
//! Data flows one way, and every step is public: [`image`] → [`mask`] → [`contour`] →
//! [`outline`] → [`triangulation`] → [`uv`] and [`edges`] → [`mesh`] → [`shape`] →
//! [`export`]. What [`import`] reads, of whatever origin, is a [`shape`] too.
#![warn(missing_docs)]

pub mod contour;
mod cover;
pub mod edges;
pub mod error;
pub mod export;
pub mod image;
pub mod import;
mod interior;
pub mod limits;
pub mod mask;
pub mod memory;
pub mod mesh;
pub mod outline;
pub mod parameters;
mod pipeline;
pub mod progress;
pub mod quality;
pub mod shape;
pub mod triangulation;
pub mod uv;
pub mod warning;

pub use error::{Fault, MeshError};
pub use limits::Limits;
pub use mesh::{ALGORITHM_VERSION, Mesh, Metadata};
pub use parameters::MeshParameters;
pub use pipeline::generate;
pub use progress::{Observer, Step};
pub use shape::Shape;
pub use warning::{MAX_WARNINGS, Warning};
