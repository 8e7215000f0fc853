//! Why there is no mesh: errors by who is at fault, with what is needed to act.

use crate::parameters::ParameterErrors;
use crate::progress::{Step, Stopped};
use serde_json::{Value, json};

/// Who can do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The parameters, or other arguments of a call, are wrong.
    Parameters,
    /// The image is broken, not an image, or shows nothing to mesh.
    Image,
    /// The input is beyond one of the [`Limits`](crate::Limits).
    Limit,
    /// The run was stopped on request.
    Stopped,
}

/// Why no mesh could be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MeshError {
    /// One or more parameters are wrong.
    #[error("Invalid parameters: {0}")]
    Parameters(#[from] ParameterErrors),
    /// The image could not be loaded.
    #[error("Failed to load image: {0}")]
    ImageLoad(#[from] ImageLoadError),
    /// The image has no contour that could be meshed.
    #[error("Failed to extract a contour: {0}")]
    ContourExtraction(#[from] ContourError),
    /// The outline could not be triangulated.
    #[error("Failed to triangulate mesh: {0}")]
    Triangulation(#[from] TriangulationError),
    /// The observer stopped the run.
    #[error("stopped on request during \"{}\"", step.message())]
    Stopped {
        /// The step that was running.
        step: Step,
    },
}

/// Why an image could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageLoadError {
    /// There are no bytes.
    #[error("the image is empty (0 bytes)")]
    Empty,
    /// The bytes are of no format that is read here.
    #[error("not a PNG, WebP or JPEG image{}", seems(.found))]
    UnknownFormat {
        /// What the bytes look like instead, where that could be told.
        found: Option<&'static str>,
    },
    /// Width or height is zero.
    #[error("the image has no pixels ({width} x {height})")]
    NoPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// Width or height is beyond the limit.
    #[error(
        "the image is {width} x {height} pixels; at most {limit} are allowed in each direction"
    )]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// [`Limits::max_image_dimension`](crate::Limits::max_image_dimension).
        limit: u32,
    },
    /// There are more pixels than allowed.
    #[error("the image has {pixels} pixels ({width} x {height}); at most {limit} are allowed")]
    TooManyPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Pixels altogether.
        pixels: u64,
        /// [`Limits::max_image_pixels`](crate::Limits::max_image_pixels).
        limit: u64,
    },
    /// Decoding needs more memory than allowed.
    #[error("decoding needs more than the {limit} bytes of memory allowed")]
    DecoderMemory {
        /// [`Limits::max_decoder_memory`](crate::Limits::max_decoder_memory).
        limit: usize,
    },
    /// The bytes end before the image does.
    #[error("the {format} data is truncated")]
    Truncated {
        /// `"PNG"`, `"WebP"` or `"JPEG"`.
        format: &'static str,
    },
    /// The bytes break the rules of their format.
    #[error("the {format} data is corrupt: {reason}")]
    Corrupt {
        /// `"PNG"`, `"WebP"` or `"JPEG"`.
        format: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

fn seems(found: &Option<&'static str>) -> String {
    found.map_or_else(String::new, |name| format!(" (it seems to be {name})"))
}

/// Why no contour was found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ContourError {
    /// No pixel is left after blur and threshold.
    #[error("no visible pixel is left after thresholding")]
    NothingVisible,
    /// No pixel has an alpha of at least `alpha_threshold`, so that a cover has nothing to cover.
    #[error("no pixel is visible: none has an alpha of at least alpha_threshold")]
    NothingToCover,
    /// Every contour is smaller than `min_contour_area`.
    #[error("the largest contour has an area of {largest} px², below min_contour_area = {minimum}")]
    TooSmall {
        /// Area of the largest contour in square pixels.
        largest: f64,
        /// The parameter `min_contour_area`.
        minimum: f64,
    },
}

/// Why an outline could not be triangulated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TriangulationError {
    /// Fewer than three distinct vertices.
    #[error("insufficient vertices")]
    InsufficientVertices {
        /// Distinct vertices in the outline.
        vertex_count: usize,
    },
    /// All vertices lie on one line.
    #[error("all {vertex_count} vertices of the outline lie on one line")]
    Collinear {
        /// Vertices in the outline.
        vertex_count: usize,
    },
    /// A coordinate is NaN or infinite.
    #[error("the outline has a coordinate that is not a finite number")]
    NotFinite,
    /// A coordinate is so large or so close to zero that arithmetic on it would not be exact.
    #[error("the outline has the coordinate {value:e}, which is neither 0 nor from 1e-60 to 1e60")]
    OutOfRange {
        /// The coordinate.
        value: f64,
    },
    /// The mesh would have more vertices than allowed.
    #[error("the mesh would have more than the {limit} vertices allowed")]
    TooManyVertices {
        /// Vertices that the parameters ask for, estimated.
        estimate: usize,
        /// [`Limits::max_mesh_vertices`](crate::Limits::max_mesh_vertices).
        limit: usize,
    },
}

impl MeshError {
    /// The stable error code of the service contract.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            MeshError::Parameters(_) => "INVALID_PARAMETERS",
            MeshError::ImageLoad(_) => "IMAGE_LOAD_FAILED",
            MeshError::ContourExtraction(_) => "CONTOUR_EXTRACTION_FAILED",
            MeshError::Triangulation(_) => "TRIANGULATION_FAILED",
            MeshError::Stopped { .. } => "STOPPED",
        }
    }

    /// Who can do something about it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            MeshError::Parameters(_)
            | MeshError::Triangulation(
                TriangulationError::NotFinite | TriangulationError::OutOfRange { .. },
            ) => Fault::Parameters,
            MeshError::ImageLoad(
                ImageLoadError::TooLarge { .. }
                | ImageLoadError::TooManyPixels { .. }
                | ImageLoadError::DecoderMemory { .. },
            )
            | MeshError::Triangulation(TriangulationError::TooManyVertices { .. }) => Fault::Limit,
            MeshError::ImageLoad(_) | MeshError::ContourExtraction(_) => Fault::Image,
            MeshError::Triangulation(_) => Fault::Image,
            MeshError::Stopped { .. } => Fault::Stopped,
        }
    }

    /// The numbers behind the message, as a JSON object.
    #[must_use]
    pub fn details(&self) -> Value {
        match self {
            MeshError::Parameters(errors) => errors.details(),
            MeshError::ImageLoad(error) => error.details(),
            MeshError::ContourExtraction(error) => error.details(),
            MeshError::Triangulation(error) => error.details(),
            MeshError::Stopped { step } => json!({ "progress": step.percent() }),
        }
    }

    /// What the caller can do, in one sentence.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            MeshError::Parameters(_) => "Change the named parameters to values in their ranges.",
            MeshError::ImageLoad(error) => error.advice(),
            MeshError::ContourExtraction(ContourError::NothingVisible) => {
                "Lower binary_threshold or alpha_threshold, or check that the image is not fully transparent."
            }
            MeshError::ContourExtraction(ContourError::NothingToCover) => {
                "Lower alpha_threshold, or check that the image is not fully transparent."
            }
            MeshError::ContourExtraction(ContourError::TooSmall { .. }) => {
                "Lower min_contour_area (to 1 at the least; what is one pixel wide has no area), or lower binary_threshold so that more pixels count."
            }
            MeshError::Triangulation(TriangulationError::TooManyVertices { .. }) => {
                "Ask for less (lower internal_vertex_density or detail_factor), or raise max_mesh_vertices."
            }
            MeshError::Triangulation(
                TriangulationError::NotFinite | TriangulationError::OutOfRange { .. },
            ) => "Give coordinates that are finite numbers of pixels.",
            MeshError::Triangulation(_) => {
                "Raise detail_factor so that more of the outline is kept."
            }
            MeshError::Stopped { .. } => "Run it again.",
        }
    }
}

impl ImageLoadError {
    fn details(&self) -> Value {
        match self {
            ImageLoadError::Empty => json!({ "reason": "empty" }),
            ImageLoadError::UnknownFormat { found } => json!({
                "reason": "unknown_format",
                "found": found,
                "supported": ["PNG", "WebP", "JPEG"],
            }),
            ImageLoadError::NoPixels { width, height } => {
                json!({ "reason": "no_pixels", "width": width, "height": height })
            }
            ImageLoadError::TooLarge {
                width,
                height,
                limit,
            } => json!({
                "reason": "too_large",
                "width": width,
                "height": height,
                "max_image_dimension": limit,
            }),
            ImageLoadError::TooManyPixels {
                width,
                height,
                pixels,
                limit,
            } => json!({
                "reason": "too_many_pixels",
                "width": width,
                "height": height,
                "pixels": pixels,
                "max_image_pixels": limit,
            }),
            ImageLoadError::DecoderMemory { limit } => {
                json!({ "reason": "decoder_memory", "max_decoder_memory": limit })
            }
            ImageLoadError::Truncated { format } => {
                json!({ "reason": "truncated", "format": format })
            }
            ImageLoadError::Corrupt { format, reason } => {
                json!({ "reason": "corrupt", "format": format, "decoder": reason })
            }
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            ImageLoadError::Empty => "Check that the file was written or downloaded completely.",
            ImageLoadError::UnknownFormat { .. } => {
                "Check that it is an image, and convert it to PNG with alpha."
            }
            ImageLoadError::NoPixels { .. } => "Export the image again with at least one pixel.",
            ImageLoadError::TooLarge { .. } => {
                "Scale the image down, or raise max_image_dimension."
            }
            ImageLoadError::TooManyPixels { .. } => {
                "Scale the image down, or raise max_image_pixels."
            }
            ImageLoadError::DecoderMemory { .. } => {
                "Save the image as a PNG without interlacing, scale it down, or raise max_decoder_memory."
            }
            ImageLoadError::Truncated { .. } => {
                "Download or export the image again: its end is missing."
            }
            ImageLoadError::Corrupt { .. } => "Export the image again: the file is damaged.",
        }
    }
}

impl ContourError {
    fn details(&self) -> Value {
        match self {
            ContourError::NothingVisible | ContourError::NothingToCover => {
                json!({ "reason": "nothing_visible" })
            }
            ContourError::TooSmall { largest, minimum } => json!({
                "reason": "too_small",
                "largest_contour_area": largest,
                "min_contour_area": minimum,
            }),
        }
    }
}

impl TriangulationError {
    fn details(&self) -> Value {
        match self {
            TriangulationError::InsufficientVertices { vertex_count } => {
                json!({ "vertex_count": vertex_count, "minimum_required": 3 })
            }
            TriangulationError::Collinear { vertex_count } => {
                json!({ "reason": "collinear", "vertex_count": vertex_count })
            }
            TriangulationError::NotFinite => json!({ "reason": "not_finite" }),
            TriangulationError::OutOfRange { value } => {
                json!({ "reason": "out_of_range", "value": value })
            }
            TriangulationError::TooManyVertices { estimate, limit } => json!({
                "reason": "too_many_vertices",
                "estimated_vertex_count": estimate,
                "max_mesh_vertices": limit,
            }),
        }
    }
}

/// An error of one step, or a stop asked for by the observer.
#[derive(Debug, Clone, PartialEq)]
pub enum Interrupted<E> {
    /// The observer stopped the run.
    Stopped,
    /// The step failed.
    Failed(E),
}

impl<E> From<Stopped> for Interrupted<E> {
    fn from(_: Stopped) -> Self {
        Interrupted::Stopped
    }
}

impl<E> From<E> for Interrupted<E>
where
    E: std::error::Error,
{
    fn from(error: E) -> Self {
        Interrupted::Failed(error)
    }
}

impl<E: Into<MeshError>> Interrupted<E> {
    /// The same as an error of the whole pipeline, stopped or failed in `step`.
    pub(crate) fn during(self, step: Step) -> MeshError {
        match self {
            Interrupted::Stopped => MeshError::Stopped { step },
            Interrupted::Failed(error) => error.into(),
        }
    }
}
