//! The nine steps, one after the other.

use crate::contour::find_main_contour_within;
use crate::edges::Edges;
use crate::error::{Interrupted, MeshError, TriangulationError};
use crate::image::{AlphaSink, ImageHeader, decode_alpha};
use crate::limits::Limits;
use crate::mask::{BinaryMask, MaskBuilder};
use crate::mesh::{ALGORITHM_VERSION, Mesh, Metadata};
use crate::outline::{Outline, longest_contour};
use crate::parameters::MeshParameters;
use crate::progress::{Observer, Step, Stopped, proceed};
use crate::triangulation::{Bounds, Repair, Triangulation, area_bound, triangulate};
use crate::uv::texture_coordinates;
use crate::warning::Warning;

/// Runs the whole pipeline: bytes of an image in, mesh out.
///
/// The same bytes and parameters give the same mesh on every machine.
///
/// # Errors
/// See [`MeshError`]; in particular [`MeshError::Stopped`] when the observer said so.
pub fn generate(
    image: &[u8],
    parameters: &MeshParameters,
    limits: &Limits,
    observer: &mut dyn Observer,
) -> Result<Mesh, MeshError> {
    let parameters = parameters.normalized()?;
    begin(Step::LoadImage, observer)?;
    let header = ImageHeader::read(image, limits)?;
    let ImageHeader { width, height, .. } = header;

    let mask = make_mask(image, &header, &parameters, limits, observer)?;

    begin(Step::FindMainContour, observer)?;
    let longest = longest_contour(&parameters, width, height);
    let minimum = parameters.min_contour_area;
    let contour = find_main_contour_within(&mask, minimum, longest, observer)
        .map_err(|error| error.during(Step::FindMainContour))?;
    drop(mask);

    begin(Step::SimplifyContour, observer)?;
    let mut outline = match contour {
        Some(contour) => Outline::from_contour(&contour, &parameters, width, height, observer)
            .map_err(|Stopped| MeshError::Stopped {
                step: Step::SimplifyContour,
            })?,
        // Simplified it would be the same.
        None => Outline::rectangle(width, height),
    };

    begin(Step::TriangulateMesh, observer)?;
    let bounds = Bounds {
        max_area: area_bound(&parameters, width, height),
        max_vertices: limits.max_mesh_vertices,
    };
    let mut triangulation = triangulate(&outline.vertices(), bounds, observer);
    if let Err(Interrupted::Failed(TriangulationError::Collinear { .. })) = triangulation {
        // An outline that folds back onto itself: simplified too far, as one of two vertices is.
        outline = Outline::rectangle(width, height);
        triangulation = triangulate(&outline.vertices(), bounds, observer);
    }
    let triangulation = triangulation.map_err(|error| error.during(Step::TriangulateMesh))?;

    begin(Step::GenerateUvs, observer)?;
    let uvs = texture_coordinates(&triangulation.vertices, width, height);

    begin(Step::CalculateEdges, observer)?;
    let edges = Edges::of(&triangulation.triangles, triangulation.vertices.len());

    begin(Step::Finalize, observer)?;
    Ok(Mesh {
        metadata: Metadata {
            width,
            height,
            vertex_count: triangulation.vertices.len(),
            triangle_count: triangulation.triangles.len(),
            parameters,
            algorithm_version: ALGORITHM_VERSION,
            warnings: warnings(&outline, &triangulation),
        },
        boundary_indices: triangulation.rings.concat(),
        vertices: triangulation.vertices,
        triangles: triangulation.triangles,
        uvs,
        boundary_edges: edges.boundary,
        internal_edges: edges.internal,
    })
}

fn begin(step: Step, observer: &mut dyn Observer) -> Result<(), MeshError> {
    proceed(observer.step(step)).map_err(|Stopped| MeshError::Stopped { step })
}

/// Steps two and three: rows of alpha stream from the decoder into the mask, and through the
/// blur, so that step three begins when the first row has arrived.
fn make_mask(
    image: &[u8],
    header: &ImageHeader,
    parameters: &MeshParameters,
    limits: &Limits,
    observer: &mut dyn Observer,
) -> Result<BinaryMask, MeshError> {
    begin(Step::CreateMask, observer)?;
    let mut rows = WatchedRows {
        mask: MaskBuilder::new(header.width, header.height, parameters),
        observer,
        count: 0,
    };
    let decoded = decode_alpha(image, header, limits, &mut rows);
    let step = if rows.count == 0 {
        Step::CreateMask
    } else {
        Step::ProcessContours
    };
    decoded.map_err(|error| error.during(step))?;
    Ok(rows.mask.finish())
}

/// Hands rows to the mask, and asks the observer now and then.
struct WatchedRows<'a> {
    mask: MaskBuilder,
    observer: &'a mut dyn Observer,
    count: usize,
}

impl AlphaSink for WatchedRows<'_> {
    fn row(&mut self, alpha: &[u8]) -> Result<(), Stopped> {
        self.count += 1;
        if self.count == 1 {
            proceed(self.observer.step(Step::ProcessContours))?;
        } else if self.count.is_multiple_of(64) {
            proceed(self.observer.poll())?;
        }
        self.mask.row(alpha)
    }

    fn poll(&mut self) -> Result<(), Stopped> {
        proceed(self.observer.poll())
    }
}

fn warnings(outline: &Outline, triangulation: &Triangulation) -> Vec<Warning> {
    let fallback = outline
        .is_fallback_rectangle
        .then_some(Warning::FallbackRectangle);
    let repair = triangulation.repair.map(|repair| match repair {
        Repair::Filled { intersections } => Warning::OutlineRepaired { intersections },
        Repair::ConvexHull => Warning::OutlineReplacedByHull,
    });
    fallback.into_iter().chain(repair).collect()
}
