//! Outline → triangles.
//!
//! A constrained Delaunay triangulation of the outline, refined until no triangle is above an
//! area bound. An outline that crosses or touches itself is repaired: all that it encloses is
//! filled.

mod constraints;
mod crossings;
mod delaunay;
mod predicates;
mod refine;
mod region;
mod rings;
mod subdivision;

use crate::error::{Interrupted, TriangulationError};
use crate::parameters::MeshParameters;
use crate::progress::{Observer, Stopped, proceed};
use constraints::{Constraints, Crossing};
use crossings::PlanarGraph;
use predicates::{Adaptive, OnGrid, Point, Predicates};
use rings::Triangles;
use std::ops::RangeInclusive;

/// A triangulated outline.
#[derive(Debug, Clone, PartialEq)]
pub struct Triangulation {
    /// `[x, y]` of each vertex. First the outline's, in order, then Steiner points.
    pub vertices: Vec<[f64; 2]>,
    /// Three vertex indices each; the signed area over (x, y) is positive.
    pub triangles: Vec<[u32; 3]>,
    /// The boundary, ring after ring, each in the outline's sense of rotation.
    pub rings: Vec<Vec<u32>>,
    /// What was wrong with the outline.
    pub repair: Option<Repair>,
}

impl Triangulation {
    /// The same with rings that run the other way round: the outline's vertices are in the
    /// reverse order.
    pub(crate) fn with_rings_reversed(mut self) -> Self {
        let count = self.rings.iter().map(Vec::len).sum::<usize>();
        self.vertices[..count].reverse();
        let last = count as u32;
        for index in self
            .triangles
            .iter_mut()
            .flatten()
            .filter(|index| **index < last)
        {
            *index = last - 1 - *index;
        }
        self
    }
}

/// What was done to an outline that is no simple polygon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// All that it encloses was filled.
    Filled {
        /// Places where it crossed or touched itself.
        intersections: usize,
    },
    /// Its convex hull was taken instead.
    ConvexHull,
}

/// What a triangulation may contain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// No triangle gets a larger area (px²); `None` adds no vertices.
    pub max_area: Option<f64>,
    /// The largest number of vertices.
    pub max_vertices: usize,
}

/// The bound on the triangles' area that the parameters ask for: none without interior density,
/// else the image's area over `internal_vertex_density · density_scaling_factor`, but at least
/// `min_triangle_area`.
#[must_use]
pub fn area_bound(parameters: &MeshParameters, width: u32, height: u32) -> Option<f64> {
    let density = f64::from(parameters.internal_vertex_density);
    (density > 0.0).then(|| {
        let area = f64::from(width) * f64::from(height);
        (area / (density * parameters.density_scaling_factor)).max(parameters.min_triangle_area)
    })
}

/// Sizes of coordinates other than zero: products of four neither overflow nor lose bits to
/// underflow, which the exactness of the predicates rests on.
const COORDINATES: RangeInclusive<f64> = 1e-60..=1e60;

/// Fills a closed outline with triangles.
///
/// # Errors
/// [`TriangulationError`] when the outline encloses nothing, has a coordinate that is not
/// finite or (unless it is 0) not from 10⁻⁶⁰ to 10⁶⁰, or when the mesh would have more than
/// `max_vertices`; [`Interrupted::Stopped`] when the observer said so.
pub fn triangulate(
    outline: &[[f64; 2]],
    bounds: Bounds,
    observer: &mut dyn Observer,
) -> Result<Triangulation, Interrupted<TriangulationError>> {
    check(outline, bounds)?;
    let mut filled = fill(outline, bounds, observer)?;
    if let Some(max_area) = bounds.max_area {
        refine::refine(&mut filled, max_area, bounds.max_vertices, observer)?;
    }
    Ok(filled)
}

/// Fills a simple polygon with triangles whose vertices are its own and given points inside of
/// it. `None` where it touches or crosses itself, or points are the same.
pub(crate) fn triangulate_around(
    outline: &[[f64; 2]],
    inside: &[[f64; 2]],
    observer: &mut dyn Observer,
) -> Result<Option<Triangulation>, Stopped> {
    let Some(graph) = PlanarGraph::ring_around(outline, inside) else {
        return Ok(None);
    };
    let found = match triangulate_graph(&graph, observer)? {
        Ok((triangles, 0)) if !triangles.is_empty() => Some(Triangulation {
            vertices: graph.points,
            triangles,
            rings: vec![(0..outline.len() as u32).collect()],
            repair: None,
        }),
        _ => None,
    };
    Ok(found)
}

fn check(outline: &[Point], bounds: Bounds) -> Result<(), TriangulationError> {
    let vertex_count = outline.len();
    if vertex_count < 3 {
        return Err(TriangulationError::InsufficientVertices { vertex_count });
    }
    if !outline.iter().flatten().all(|value| value.is_finite()) {
        return Err(TriangulationError::NotFinite);
    }
    let is_out_of_range = |&value: &f64| value != 0.0 && !COORDINATES.contains(&value.abs());
    if let Some(value) = outline.iter().flatten().copied().find(is_out_of_range) {
        return Err(TriangulationError::OutOfRange { value });
    }
    check_count(vertex_count, bounds)
}

fn check_count(vertex_count: usize, bounds: Bounds) -> Result<(), TriangulationError> {
    if vertex_count > bounds.max_vertices {
        return Err(TriangulationError::TooManyVertices {
            estimate: vertex_count,
            limit: bounds.max_vertices,
        });
    }
    Ok(())
}

/// Triangulates the outline without adding vertices, but for those where it crosses itself.
fn fill(
    outline: &[Point],
    bounds: Bounds,
    observer: &mut dyn Observer,
) -> Result<Triangulation, Interrupted<TriangulationError>> {
    let graph = PlanarGraph::ring(outline);
    match triangulate_graph(&graph, observer)? {
        Ok((triangles, 0)) if graph.points.len() == outline.len() => {
            if triangles.is_empty() {
                return Err(TriangulationError::Collinear {
                    vertex_count: outline.len(),
                }
                .into());
            }
            Ok(Triangulation {
                vertices: graph.points,
                triangles,
                rings: vec![(0..outline.len() as u32).collect()],
                repair: None,
            })
        }
        touching_or_crossing => repair(outline, bounds, graph, touching_or_crossing, observer),
    }
}

/// Splits crossing segments until none are left, and fills what they enclose.
fn repair(
    outline: &[Point],
    bounds: Bounds,
    mut graph: PlanarGraph,
    mut attempt: Result<Enclosed, Crossing>,
    observer: &mut dyn Observer,
) -> Result<Triangulation, Interrupted<TriangulationError>> {
    /// Splitting moves segments by a tiny amount, which may make another crossing; a second
    /// round is rare, and more have not been seen.
    const MAX_ROUNDS: usize = 8;
    let mut intersections = outline.len() - graph.points.len();
    for _ in 0..MAX_ROUNDS {
        match attempt {
            Ok((triangles, touches)) => {
                intersections += touches;
                let repair = Repair::Filled { intersections };
                return Ok(assemble(graph.points, triangles, outline, repair)?);
            }
            Err(Crossing) => {
                intersections += graph.split_crossings(bounds.max_vertices, observer)?.max(1);
                check_count(graph.points.len(), bounds)?;
                attempt = triangulate_graph(&graph, observer)?;
            }
        }
    }
    let (triangles, _) = triangulate_graph(&graph.without_segments(), observer)?
        .unwrap_or_else(|Crossing| unreachable!("there are no segments"));
    Ok(assemble(
        graph.points,
        triangles,
        outline,
        Repair::ConvexHull,
    )?)
}

/// Drops vertices that no triangle uses, and finds the rings.
fn assemble(
    points: Vec<Point>,
    triangles: Vec<[u32; 3]>,
    outline: &[Point],
    repair: Repair,
) -> Result<Triangulation, TriangulationError> {
    if triangles.is_empty() {
        return Err(TriangulationError::Collinear {
            vertex_count: outline.len(),
        });
    }
    let triangles = Triangles { points, triangles }.without_unused_points();
    let rings = triangles.rings(signed_area(outline) < 0.0);
    Ok(Triangulation {
        vertices: triangles.points,
        triangles: triangles.triangles,
        rings,
        repair: Some(repair),
    })
}

/// The enclosed triangles of a graph, and how often its segments touched.
type Enclosed = (Vec<[u32; 3]>, usize);

fn triangulate_graph(
    graph: &PlanarGraph,
    observer: &mut dyn Observer,
) -> Result<Result<Enclosed, Crossing>, Stopped> {
    if OnGrid::fits(&graph.points) {
        triangulate_with(graph, OnGrid, observer)
    } else {
        triangulate_with(graph, Adaptive, observer)
    }
}

/// Segments between two questions to the observer.
const SEGMENTS_PER_POLL: usize = 1 << 8;

fn triangulate_with(
    graph: &PlanarGraph,
    predicates: impl Predicates,
    observer: &mut dyn Observer,
) -> Result<Result<Enclosed, Crossing>, Stopped> {
    if graph.points.len() < 3 {
        return Ok(Ok((Vec::new(), 0)));
    }
    let mut delaunay = delaunay::triangulate(&graph.points, &graph.sorted, predicates, observer)?;
    let mut touches = 0;
    if let Some(segments) = &graph.segments {
        let mut constraints =
            Constraints::new(&graph.points, predicates, &mut delaunay.subdivision);
        for (index, &[from, to]) in segments.iter().enumerate() {
            if index % SEGMENTS_PER_POLL == 0 {
                proceed(observer.poll())?;
            }
            if let Err(crossing) = constraints.insert(from, to) {
                return Ok(Err(crossing));
            }
        }
        touches = constraints.touches();
    } else {
        delaunay.constrain_hull();
    }
    let triangles = region::enclosed_triangles(&delaunay.subdivision, delaunay.outer);
    Ok(Ok((triangles, touches)))
}

/// Half the sum of cross products: positive when the ring runs clockwise on a screen with y
/// down.
fn signed_area(ring: &[Point]) -> f64 {
    let next = ring.iter().cycle().skip(1);
    ring.iter()
        .zip(next)
        .map(|(a, b)| a[0] * b[1] - b[0] * a[1])
        .sum::<f64>()
        / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Bounds = Bounds {
        max_area: None,
        max_vertices: 1000,
    };

    fn filled(points: &[(i32, i32)]) -> Triangulation {
        let outline: Vec<Point> = points
            .iter()
            .map(|&(x, y)| [f64::from(x), f64::from(y)])
            .collect();
        triangulate(&outline, PLAIN, &mut ()).expect("it encloses something")
    }

    fn area(found: &Triangulation) -> f64 {
        let corners = |triangle: &[u32; 3]| triangle.map(|index| found.vertices[index as usize]);
        found
            .triangles
            .iter()
            .map(|triangle| signed_area(&corners(triangle)))
            .sum()
    }

    #[test]
    fn a_square_is_two_triangles() {
        let found = filled(&[(0, 0), (4, 0), (4, 4), (0, 4)]);
        assert_eq!(
            (found.triangles.len(), area(&found), found.repair),
            (2, 16.0, None)
        );
        assert_eq!(found.rings, [[0, 1, 2, 3]]);
    }

    #[test]
    fn a_bow_tie_gets_a_vertex_where_it_crosses() {
        let found = filled(&[(0, 0), (4, 4), (4, 0), (0, 4)]);
        assert_eq!(found.repair, Some(Repair::Filled { intersections: 1 }));
        assert_eq!(
            (found.vertices.len(), found.triangles.len(), area(&found)),
            (5, 2, 8.0)
        );
    }

    #[test]
    fn a_vertex_on_an_edge_is_a_touch() {
        let found = filled(&[(0, 0), (8, 0), (8, 4), (4, 0), (0, 4)]);
        assert_eq!(found.repair, Some(Repair::Filled { intersections: 1 }));
        assert_eq!((found.triangles.len(), area(&found)), (2, 16.0));
    }

    #[test]
    fn a_point_that_comes_twice_is_one_vertex() {
        let found = filled(&[(0, 0), (4, 4), (8, 0), (8, 8), (4, 4), (0, 8)]);
        assert_eq!((found.vertices.len(), area(&found)), (5, 32.0));
        assert!(matches!(found.repair, Some(Repair::Filled { .. })));
    }

    #[test]
    fn a_spike_of_no_width_is_dropped() {
        let found = filled(&[(0, 0), (4, 0), (4, 4), (9, 4), (4, 4), (0, 4)]);
        assert_eq!((found.vertices.len(), area(&found)), (4, 16.0));
    }

    #[test]
    fn what_a_second_turn_encloses_is_filled_once() {
        let twice = [
            (0, 0),
            (9, 0),
            (9, 9),
            (0, 9),
            (0, 0),
            (9, 0),
            (9, 9),
            (0, 9),
        ];
        assert_eq!(area(&filled(&twice)), 81.0);
    }

    /// Found by a property test: the way back runs along the way there, and is crossed.
    #[test]
    fn edges_along_one_another_are_split_together() {
        let found = filled(&[(10, 0), (8, 10), (9, 5), (8, 7), (9, 9), (6, 2)]);
        assert!(
            matches!(found.repair, Some(Repair::Filled { .. })),
            "{:?}",
            found.repair
        );
    }

    /// Found by a property test: one segment runs almost along another, and each place where they
    /// were split made another crossing, until the hull was taken.
    #[test]
    fn segments_almost_along_one_another_are_split_for_good() {
        let points = [(3, 10), (7, 7), (1, 11), (10, 5), (10, 4)];
        let outline = points.map(|(x, y)| [f64::from(x) * 0.1, f64::from(y) * 0.1]);
        let found = triangulate(&outline, PLAIN, &mut ()).expect("it encloses something");
        assert!(matches!(found.repair, Some(Repair::Filled { .. })));
        let exact = area(&filled(&points));
        assert!((area(&found) * 100.0 - exact).abs() < 1e-4);
    }

    /// Found by fuzzing: predicates that overflow or underflow contradict one another, and the
    /// insertion of a segment did not end.
    #[test]
    fn coordinates_beyond_exact_arithmetic_are_an_error() {
        for value in [1e300, -1e61, 1e-61, f64::MIN_POSITIVE / 2.0] {
            let outline = [[0.0, 0.0], [1.0, value], [0.0, 1.0]];
            let found = triangulate(&outline, PLAIN, &mut ());
            let expected = TriangulationError::OutOfRange { value };
            assert_eq!(found, Err(Interrupted::Failed(expected)));
        }
        for value in [1e60, -1e-60, -0.0] {
            let outline = [[0.0, 0.0], [1.0, value], [0.0, 1.0]];
            assert!(triangulate(&outline, PLAIN, &mut ()).is_ok());
        }
    }

    /// Found by fuzzing: the limit was compared with the outline's own vertices alone.
    #[test]
    fn vertices_at_crossings_count_towards_the_limit() {
        let star = [[0.0, 0.0], [9.0, 7.0], [0.0, 7.0], [9.0, 0.0], [4.0, 9.0]];
        let found = |max_vertices| {
            let bounds = Bounds {
                max_vertices,
                ..PLAIN
            };
            triangulate(&star, bounds, &mut ())
        };
        let complete = found(1000).expect("it encloses something");
        let vertex_count = complete.vertices.len();
        assert!(vertex_count > star.len());
        assert_eq!(found(vertex_count), Ok(complete));
        let error = TriangulationError::TooManyVertices {
            estimate: vertex_count,
            limit: vertex_count - 1,
        };
        assert_eq!(found(vertex_count - 1), Err(Interrupted::Failed(error)));
    }

    /// Found by fuzzing: the estimate of the vertices needed overflowed.
    #[test]
    fn a_bound_that_asks_for_numberless_triangles_is_an_error() {
        let outline = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
        let bounds = Bounds {
            max_area: Some(f64::MIN_POSITIVE),
            ..PLAIN
        };
        let found = triangulate(&outline, bounds, &mut ());
        assert!(matches!(
            found,
            Err(Interrupted::Failed(
                TriangulationError::TooManyVertices { .. }
            ))
        ));
    }

    #[test]
    fn an_outline_that_encloses_nothing_is_an_error() {
        let error = |points: &[Point]| match triangulate(points, PLAIN, &mut ()) {
            Err(Interrupted::Failed(error)) => error,
            other => panic!("{other:?}"),
        };
        let line = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]];
        assert_eq!(
            error(&line),
            TriangulationError::Collinear { vertex_count: 3 }
        );
        assert_eq!(
            error(&line[..2]),
            TriangulationError::InsufficientVertices { vertex_count: 2 }
        );
        assert_eq!(
            error(&[[0.0, 0.0], [1.0, f64::NAN], [2.0, 0.0]]),
            TriangulationError::NotFinite
        );
    }
}
