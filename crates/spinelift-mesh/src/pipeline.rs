//! The nine steps, one after the other.

use crate::contour::find_main_contour_within;
use crate::cover::{Art, Outline as CoverOutline, Point, Watch};
use crate::edges::Edges;
use crate::error::{ContourError, Interrupted, MeshError, TriangulationError};
use crate::image::{AlphaSink, ImageHeader, decode_alpha};
use crate::interior::Interior;
use crate::limits::Limits;
use crate::mask::{BinaryMask, MaskBuilder};
use crate::mesh::{ALGORITHM_VERSION, Mesh, Metadata};
use crate::outline::{Outline, longest_contour};
use crate::parameters::{MeshParameters, OutlineMode};
use crate::progress::{Observer, Step, Stopped, proceed};
use crate::quality::Quality;
use crate::triangulation::{Bounds, Repair, Triangulation, area_bound, triangulate};
use crate::uv::texture_coordinates;
use crate::warning::Warning;
use std::ops::ControlFlow;

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
    let parameters = parameters.normalized()?.without_deadline();
    let mut clock = Clock {
        observer,
        is_time_up: false,
    };
    let mut mesh = run(image, parameters, limits, &mut clock)?;
    if clock.is_time_up {
        mesh.metadata.warnings.push(Warning::TimeWasUp);
    }
    Ok(mesh)
}

fn run(
    image: &[u8],
    parameters: MeshParameters,
    limits: &Limits,
    observer: &mut dyn Observer,
) -> Result<Mesh, MeshError> {
    begin(Step::LoadImage, observer)?;
    let header = ImageHeader::read(image, limits)?;
    let masks = make_masks(image, &header, &parameters, limits, observer)?;
    let run = Run {
        parameters,
        limits,
        width: header.width,
        height: header.height,
    };
    match parameters.outline.mode {
        OutlineMode::Reference => run.reference(masks, observer),
        OutlineMode::Cover => run.cover(masks, observer),
    }
}

/// An observer that remembers whether it has said that time is up.
struct Clock<'a> {
    observer: &'a mut dyn Observer,
    is_time_up: bool,
}

impl Observer for Clock<'_> {
    fn step(&mut self, step: Step) -> ControlFlow<()> {
        self.observer.step(step)
    }

    fn poll(&mut self) -> ControlFlow<()> {
        self.observer.poll()
    }

    /// Once yes, always yes.
    fn is_time_up(&mut self) -> bool {
        self.is_time_up = self.is_time_up || self.observer.is_time_up();
        self.is_time_up
    }
}

/// What the steps after decoding share.
struct Run<'a> {
    parameters: MeshParameters,
    limits: &'a Limits,
    width: u32,
    height: u32,
}

impl Run<'_> {
    fn reference(&self, masks: Masks, observer: &mut dyn Observer) -> Result<Mesh, MeshError> {
        let (width, height) = (self.width, self.height);
        begin(Step::FindMainContour, observer)?;
        let longest = longest_contour(&self.parameters, width, height);
        let minimum = self.parameters.min_contour_area;
        let contour = find_main_contour_within(&masks.foreground, minimum, longest, observer)
            .map_err(|error| error.during(Step::FindMainContour))?;
        drop(masks.foreground);

        begin(Step::SimplifyContour, observer)?;
        let mut outline = match contour {
            Some(contour) => {
                Outline::from_contour(&contour, &self.parameters, width, height, observer)
                    .map_err(|stopped| stopped_in(Step::SimplifyContour, stopped))?
            }
            // Simplified it would be the same.
            None => Outline::rectangle(width, height),
        };

        begin(Step::TriangulateMesh, observer)?;
        let mut triangulation = triangulate(&outline.vertices(), self.bounds(), observer);
        if let Err(Interrupted::Failed(TriangulationError::Collinear { .. })) = triangulation {
            // An outline that folds back onto itself: simplified too far, as one of two vertices is.
            outline = Outline::rectangle(width, height);
            triangulation = triangulate(&outline.vertices(), self.bounds(), observer);
        }
        let mut triangulation =
            triangulation.map_err(|error| error.during(Step::TriangulateMesh))?;
        if triangulation.repair.is_none()
            && let Some(filled) = self.fill(&outline.vertices(), None, &|_| true, observer)?
        {
            triangulation = filled;
        }
        let warnings = warnings(&outline, &triangulation);
        begin(Step::GenerateUvs, observer)?;
        begin(Step::CalculateEdges, observer)?;
        begin(Step::Finalize, observer)?;
        self.assemble(triangulation, warnings, &masks.visible, observer)
    }

    fn cover(&self, masks: Masks, observer: &mut dyn Observer) -> Result<Mesh, MeshError> {
        begin(Step::FindMainContour, observer)?;
        let parameters = &self.parameters.outline;
        let mask = &masks.foreground;
        let art = Art::new(mask, parameters, &mut Watch::new(observer))
            .map_err(|stopped| stopped_in(Step::FindMainContour, stopped))?
            .ok_or(ContourError::NothingToCover)?;

        begin(Step::SimplifyContour, observer)?;
        let mut watch = Watch::new(observer);
        let outlines = (0..art.parts())
            .map(|part| art.outline(part, mask, parameters, &mut watch))
            .collect::<Result<Vec<_>, Stopped>>()
            .map_err(|stopped| stopped_in(Step::SimplifyContour, stopped))?;

        begin(Step::TriangulateMesh, observer)?;
        let mut triangulations = Vec::with_capacity(outlines.len());
        for outline in &outlines {
            triangulations.push(self.triangulate_cover(outline, &art, observer)?);
        }
        self.check_count(&triangulations)?;

        begin(Step::GenerateUvs, observer)?;
        begin(Step::CalculateEdges, observer)?;
        begin(Step::Finalize, observer)?;
        let joined = art.joined();
        let mut warnings = Vec::from_iter(joined.map(|count| Warning::IslandsJoined { count }));
        let is_split = outlines.len() > 1;
        let mut meshes = Vec::with_capacity(outlines.len());
        for (outline, triangulation) in outlines.iter().zip(triangulations) {
            let own = is_split
                .then(|| art.inside(outline).part_of(mask, &mut Watch::new(observer)))
                .transpose()
                .map_err(|stopped| stopped_in(Step::Finalize, stopped))?;
            let visible = own.as_ref().unwrap_or(&masks.visible);
            let warnings = std::mem::take(&mut warnings);
            meshes.push(self.assemble(triangulation, warnings, visible, observer)?);
        }
        let islands = meshes.split_off(1);
        let mut mesh = meshes.remove(0);
        mesh.islands = islands;
        Ok(mesh)
    }

    /// All islands together must not have more vertices than one mesh may have.
    fn check_count(&self, triangulations: &[Triangulation]) -> Result<(), TriangulationError> {
        let count: usize = triangulations
            .iter()
            .map(|found| found.vertices.len())
            .sum();
        let limit = self.limits.max_mesh_vertices;
        if count > limit {
            return Err(TriangulationError::TooManyVertices {
                estimate: count,
                limit,
            });
        }
        Ok(())
    }

    fn triangulate_cover(
        &self,
        outline: &CoverOutline,
        art: &Art,
        observer: &mut dyn Observer,
    ) -> Result<Triangulation, MeshError> {
        // As the reference's outlines run: counter-clockwise on screen.
        let vertices: Vec<[f64; 2]> = outline
            .ring
            .iter()
            .rev()
            .map(|point| point.pixels())
            .collect();
        let inside = self
            .parameters
            .interior
            .is_wanted()
            .then(|| art.inside(outline));
        let admits = |ring: &[Point]| {
            inside
                .as_ref()
                .is_none_or(|inside| inside.is_covered_by(ring))
        };
        if let Some(filled) = self.fill(&vertices, outline.axis, &admits, observer)? {
            return Ok(filled);
        }
        triangulate(&vertices, self.bounds(), observer)
            .map_err(|error| error.during(Step::TriangulateMesh))
    }

    /// Puts vertices inside, where the parameters ask for them.
    fn fill(
        &self,
        vertices: &[[f64; 2]],
        axis: Option<i64>,
        admits: &dyn Fn(&[Point]) -> bool,
        observer: &mut dyn Observer,
    ) -> Result<Option<Triangulation>, MeshError> {
        if !self.parameters.interior.is_wanted() {
            return Ok(None);
        }
        let interior = Interior {
            admits,
            axis,
            limit: self.limits.max_mesh_vertices,
        };
        let ring: Vec<Point> = vertices
            .iter()
            .rev()
            .map(|&vertex| Point::at(vertex))
            .collect();
        let filled = interior
            .fill(&ring, &self.parameters.interior, observer)
            .map_err(|stopped| stopped_in(Step::TriangulateMesh, stopped))?;
        Ok(filled.map(Triangulation::with_rings_reversed))
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            max_area: area_bound(&self.parameters, self.width, self.height),
            max_vertices: self.limits.max_mesh_vertices,
        }
    }

    /// The last three steps, which are short.
    fn assemble(
        &self,
        triangulation: Triangulation,
        warnings: Vec<Warning>,
        visible: &BinaryMask,
        observer: &mut dyn Observer,
    ) -> Result<Mesh, MeshError> {
        let vertices = triangulation.vertices;
        let edges = Edges::of(&triangulation.triangles, vertices.len());
        let quality = Quality::of(
            &vertices,
            &triangulation.triangles,
            &edges.boundary,
            visible,
            observer,
        )
        .map_err(|stopped| stopped_in(Step::Finalize, stopped))?;
        Ok(Mesh {
            metadata: Metadata {
                width: self.width,
                height: self.height,
                vertex_count: vertices.len(),
                triangle_count: triangulation.triangles.len(),
                parameters: self.parameters,
                algorithm_version: ALGORITHM_VERSION,
                warnings,
                quality,
            },
            boundary_indices: triangulation.rings.concat(),
            uvs: texture_coordinates(&vertices, self.width, self.height),
            vertices,
            triangles: triangulation.triangles,
            boundary_edges: edges.boundary,
            internal_edges: edges.internal,
            islands: Vec::new(),
        })
    }
}

fn stopped_in(step: Step, Stopped: Stopped) -> MeshError {
    MeshError::Stopped { step }
}

fn begin(step: Step, observer: &mut dyn Observer) -> Result<(), MeshError> {
    proceed(observer.step(step)).map_err(|Stopped| MeshError::Stopped { step })
}

/// What is meshed, and what is visible: pixels that are not wholly transparent.
struct Masks {
    foreground: BinaryMask,
    visible: BinaryMask,
}

/// Steps two and three: rows of alpha stream from the decoder into the masks, and through the
/// blur, so that step three begins when the first row has arrived.
fn make_masks(
    image: &[u8],
    header: &ImageHeader,
    parameters: &MeshParameters,
    limits: &Limits,
    observer: &mut dyn Observer,
) -> Result<Masks, MeshError> {
    begin(Step::CreateMask, observer)?;
    let (width, height) = (header.width, header.height);
    let mut rows = WatchedRows {
        foreground: match parameters.outline.mode {
            OutlineMode::Reference => MaskBuilder::new(width, height, parameters),
            OutlineMode::Cover => MaskBuilder::at_least(width, height, parameters.alpha_threshold),
        },
        visible: MaskBuilder::at_least(width, height, 1),
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
    Ok(Masks {
        foreground: rows.foreground.finish(),
        visible: rows.visible.finish(),
    })
}

/// Hands rows to the masks, and asks the observer now and then.
struct WatchedRows<'a> {
    foreground: MaskBuilder,
    visible: MaskBuilder,
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
        self.visible.row(alpha)?;
        self.foreground.row(alpha)
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
