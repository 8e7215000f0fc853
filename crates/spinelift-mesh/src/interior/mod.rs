//! Vertices inside an outline, so that a mesh bends well.
//!
//! The outline's edges are split at the spacing of the points inside: that matters most. Points
//! start on a hexagonal lattice, away from the outline; each then moves to the middle of its
//! triangles, which are made anew, several times (Chen and Holst, "Efficient mesh optimization
//! schemes based on optimal Delaunay triangulations", 2011).

mod angle;
mod lattice;
mod polygon;
mod split;

use crate::cover::{PIXEL, Point};
use crate::parameters::InteriorParameters;
use crate::progress::{Observer, Stopped, proceed};
use crate::triangulation::{Triangulation, triangulate_around};
use polygon::Polygon;

/// Rounds of moving points to the middle of their triangles.
const ROUNDS: usize = 12;

/// Distances from the outline, in spacings: of the lattice, and of points that move.
const START_DISTANCE: f64 = 0.7;
const LEAST_DISTANCE: f64 = 0.55;

/// No two vertices that are put in are nearer than this, in steps of the grid: half a pixel.
const MIN_DISTANCE: f64 = PIXEL as f64 / 2.0;

/// Halvings of the interval that the spacing is sought in.
const HALVINGS: usize = 24;

/// Attempts to stay within a budget of vertices while angles ask for more.
const ATTEMPTS: usize = 5;

/// What is put into an outline.
pub(crate) struct Interior<'a> {
    /// Whether an outline with more vertices is as good as the one it was made of.
    pub(crate) admits: &'a dyn Fn(&[Point]) -> bool,
    /// Twice the x of the axis of symmetry.
    pub(crate) axis: Option<i64>,
    /// The largest number of vertices, whatever the parameters say.
    pub(crate) limit: usize,
}

/// Outline and points: what is triangulated.
#[derive(Clone)]
struct Net {
    ring: Vec<Point>,
    points: Vec<Point>,
}

impl Net {
    fn len(&self) -> usize {
        self.ring.len() + self.points.len()
    }

    fn triangulation(&self, observer: &mut dyn Observer) -> Result<Option<Triangulation>, Stopped> {
        let pixels = |points: &[Point]| {
            points
                .iter()
                .map(|point| point.pixels())
                .collect::<Vec<_>>()
        };
        triangulate_around(&pixels(&self.ring), &pixels(&self.points), observer)
    }

    /// The triangulation, without points that are in no triangle of it: two that moved to one
    /// place, or one that was mirrored to the outside. `None` if the outline itself is not whole.
    fn without_unused(
        mut self,
        observer: &mut dyn Observer,
    ) -> Result<Option<Triangulation>, Stopped> {
        loop {
            let Some(triangulation) = self.triangulation(observer)? else {
                return Ok(None);
            };
            let mut used = vec![false; self.len()];
            for &index in triangulation.triangles.iter().flatten() {
                used[index as usize] = true;
            }
            let (ring, points) = used.split_at(self.ring.len());
            if ring.contains(&false) {
                return Ok(None);
            }
            if !points.contains(&false) {
                return Ok(Some(triangulation));
            }
            let mut points = points.iter();
            self.points.retain(|_| points.next() == Some(&true));
        }
    }
}

impl Interior<'_> {
    /// Fills an outline that runs clockwise on screen. `None` where it cannot be done better
    /// than without.
    pub(crate) fn fill(
        &self,
        ring: &[Point],
        parameters: &InteriorParameters,
        observer: &mut dyn Observer,
    ) -> Result<Option<Triangulation>, Stopped> {
        let budget = parameters.vertices.map_or(self.limit, |most| most as usize);
        let budget = budget.min(self.limit);
        let mut asked = budget;
        let mut best: Option<(f64, Net)> = None;
        for _ in 0..ATTEMPTS {
            let Some((spacing, mut net)) = self.spread(ring, parameters, asked) else {
                break;
            };
            self.relax(&mut net, spacing, budget, observer)?;
            let Some(bound) = parameters.min_angle else {
                best = Some((0.0, net));
                break;
            };
            let reached = self.widen_angles(&mut net, bound, spacing, budget, observer)?;
            if best.as_ref().is_none_or(|(known, _)| *known < reached) {
                best = Some((reached, net));
            }
            if reached >= bound || parameters.vertices.is_none() {
                break;
            }
            asked = asked * 4 / 5;
        }
        match best {
            Some((_, net)) => net.without_unused(observer),
            None => Ok(None),
        }
    }

    /// Splits edges and lays the lattice, with the spacing or the budget that is asked for.
    fn spread(
        &self,
        ring: &[Point],
        parameters: &InteriorParameters,
        budget: usize,
    ) -> Option<(f64, Net)> {
        let polygon = Polygon::new(ring);
        let at = |spacing: f64| {
            let split = self.split(ring, spacing);
            let inside = Polygon::new(&split);
            let points = lattice::points(&inside, spacing, START_DISTANCE * spacing, self.axis);
            Net {
                ring: split,
                points,
            }
        };
        let extent = polygon.extent();
        let least = parameters
            .spacing
            .map_or(2.0 * MIN_DISTANCE, |pixels| pixels * PIXEL as f64);
        let net = (parameters.spacing.is_some() && polygon.area() < budget as f64 * least * least)
            .then(|| at(least))
            .filter(|net| net.len() <= budget);
        if let Some(net) = net {
            return Some((least, net));
        }
        // Without a spacing, angles alone are asked for: as few points as can be.
        if parameters.vertices.is_none() && parameters.spacing.is_none() {
            let net = at(extent);
            return (net.len() <= budget).then_some((extent, net));
        }
        let (mut low, mut high) = (
            least.max((polygon.area() / budget as f64).sqrt() / 2.0),
            extent,
        );
        let mut best = None;
        for _ in 0..HALVINGS {
            let middle = (low * high).sqrt();
            let net = at(middle);
            if net.len() <= budget {
                high = middle;
                let is_more = best
                    .as_ref()
                    .is_none_or(|(_, known): &(f64, Net)| known.len() <= net.len());
                if is_more {
                    best = Some((middle, net));
                }
            } else {
                low = middle;
            }
        }
        best
    }

    /// The outline with its edges split, or as it is if that is not admitted.
    fn split(&self, ring: &[Point], spacing: f64) -> Vec<Point> {
        let split = split::split(ring, spacing, self.axis);
        if split.len() == ring.len() || (self.admits)(&split) {
            split
        } else {
            ring.to_vec()
        }
    }

    /// Moves points to the middle of their triangles, where that is inside and not too near to
    /// the outline.
    fn relax(
        &self,
        net: &mut Net,
        spacing: f64,
        budget: usize,
        observer: &mut dyn Observer,
    ) -> Result<(), Stopped> {
        let polygon = Polygon::new(&net.ring);
        for _ in 0..ROUNDS {
            proceed(observer.poll())?;
            let before = net.points.clone();
            let Some(triangulation) = net.triangulation(observer)? else {
                return Ok(());
            };
            let middles = middles(&triangulation, net.ring.len());
            for (point, middle) in net.points.iter_mut().zip(middles) {
                let is_on_axis = self.axis.is_some_and(|axis| 2 * point.x == axis);
                let moved = Point::new(
                    if is_on_axis {
                        point.x
                    } else {
                        (middle[0] * PIXEL as f64).round() as i64
                    },
                    (middle[1] * PIXEL as f64).round() as i64,
                );
                if polygon.contains_at(moved, LEAST_DISTANCE * spacing) {
                    *point = moved;
                }
            }
            self.mirror(net);
            // Of one half there may be more than of the other.
            if net.len() > budget {
                net.points = before;
                break;
            }
        }
        Ok(())
    }

    /// The points on the left become the mirror images of those on the right.
    fn mirror(&self, net: &mut Net) {
        let Some(axis) = self.axis else {
            return;
        };
        net.points.retain(|point| 2 * point.x >= axis);
        let left: Vec<Point> = net
            .points
            .iter()
            .filter(|point| 2 * point.x > axis)
            .map(|point| Point::new(axis - point.x, point.y))
            .collect();
        net.points.extend(left);
        net.points.sort_unstable();
        net.points.dedup();
    }
}

/// Of each point inside, the middle of the triangles around it, weighted by area.
fn middles(triangulation: &Triangulation, first: usize) -> Vec<[f64; 2]> {
    let vertices = &triangulation.vertices;
    let mut sums = vec![[0.0; 3]; vertices.len()];
    for triangle in &triangulation.triangles {
        let [a, b, c] = triangle.map(|index| vertices[index as usize]);
        let area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
        let middle = [0, 1].map(|axis| (a[axis] + b[axis] + c[axis]) / 3.0);
        for &index in triangle {
            let sum = &mut sums[index as usize];
            sum[0] += area * middle[0];
            sum[1] += area * middle[1];
            sum[2] += area;
        }
    }
    sums[first..]
        .iter()
        .zip(&vertices[first..])
        .map(|(&[x, y, area], &vertex)| {
            if area > 0.0 {
                [x / area, y / area]
            } else {
                vertex
            }
        })
        .collect()
}
