//! Refinement: no triangle above an area bound.
//!
//! Delaunay refinement after Ruppert ("A Delaunay refinement algorithm for quality 2-dimensional
//! mesh generation", 1995), with the area as the only measure: the largest triangles go first,
//! each by a vertex at its circumcentre, or, where that lies beyond a boundary side or near
//! one, by a vertex in the middle of that side. A vertex is inserted by the method of Bowyer and
//! Watson.

mod cavity;
mod queue;
mod refiner;

use super::Triangulation;
use super::predicates::cross;
use crate::error::{Interrupted, TriangulationError};
use crate::progress::{Observer, proceed};
use refiner::Refiner;

/// Vertices between two questions to the observer.
const VERTICES_PER_POLL: usize = 1 << 12;

/// Adds vertices until no triangle's area is above `max_area`.
pub(super) fn refine(
    triangulation: &mut Triangulation,
    max_area: f64,
    max_vertices: usize,
    observer: &mut dyn Observer,
) -> Result<(), Interrupted<TriangulationError>> {
    let demand = Demand::new(triangulation, max_area, max_vertices);
    if demand.least_vertices > max_vertices {
        return Err(demand.too_many_vertices().into());
    }
    let mut other = (demand.estimated_vertices <= SMALL).then(|| triangulation.clone());
    run(triangulation, &demand, Policy::LARGE, observer)?;
    if let Some(other) = &mut other {
        run(other, &demand, Policy::SMALL, observer)?;
        if other.vertices.len() < triangulation.vertices.len() {
            std::mem::swap(other, triangulation);
        }
    }
    Ok(())
}

fn run(
    triangulation: &mut Triangulation,
    demand: &Demand,
    policy: Policy,
    observer: &mut dyn Observer,
) -> Result<(), Interrupted<TriangulationError>> {
    let mut refiner = Refiner::new(triangulation, demand, policy);
    refiner.make_delaunay();
    refiner.enqueue_all();
    while let Some(triangle) = refiner.queue.pop() {
        refiner.improve(triangle);
        if refiner.points.len() > demand.max_vertices {
            return Err(demand.too_many_vertices().into());
        }
        if refiner.points.len().is_multiple_of(VERTICES_PER_POLL) {
            proceed(observer.poll())?;
        }
    }
    refiner.finish(triangulation);
    Ok(())
}

/// What is asked for, and what it will cost.
struct Demand {
    max_area: f64,
    max_vertices: usize,
    least_vertices: usize,
    estimated_vertices: usize,
}

impl Demand {
    fn new(triangulation: &Triangulation, max_area: f64, max_vertices: usize) -> Self {
        let corner = |index: u32| triangulation.vertices[index as usize];
        let triangles = triangulation.triangles.iter();
        let area = triangles
            .map(|&[a, b, c]| cross(corner(a), corner(b), corner(c)))
            .sum::<f64>()
            / 2.0;
        let ratio = area / max_area;
        Demand {
            max_area,
            max_vertices,
            // A triangulation of n vertices has fewer than 2 n triangles.
            least_vertices: (ratio / 2.0) as usize,
            // Measured: 1.55 triangles for each one that would fit if all were as large as may be.
            estimated_vertices: triangulation
                .vertices
                .len()
                .saturating_add((0.78 * ratio) as usize),
        }
    }

    fn too_many_vertices(&self) -> TriangulationError {
        TriangulationError::TooManyVertices {
            estimate: self.estimated_vertices,
            limit: self.max_vertices,
        }
    }
}

/// Up to this many vertices chance decides which policy needs fewer: both are tried.
const SMALL: usize = 512;

/// How vertices are chosen.
#[derive(Clone, Copy)]
struct Policy {
    /// A vertex that sees a boundary side under an angle whose cosine is below this would be too
    /// near: the side is split instead.
    encroachment: f64,
    /// Into how many classes an octave of triangle areas is divided; larger classes go first.
    classes_per_octave: u64,
}

impl Policy {
    const LARGE: Policy = Policy {
        encroachment: -0.9,
        classes_per_octave: 2,
    };
    const SMALL: Policy = Policy {
        encroachment: -0.75,
        classes_per_octave: 1,
    };
}
