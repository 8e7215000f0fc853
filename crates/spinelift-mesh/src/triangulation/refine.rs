//! Refinement: no triangle above an area bound.
//!
//! Delaunay refinement after Ruppert ("A Delaunay refinement algorithm for quality 2-dimensional
//! mesh generation", 1995), with the area as the only measure: the largest triangles go first,
//! each by a vertex at its circumcentre, or, where that lies beyond a boundary side or near
//! one, by a vertex in the middle of that side. A vertex is inserted by the method of Bowyer and
//! Watson.

use super::predicates::{Adaptive, Point, Predicates, cross};
use super::rings::{rings, twins};
use super::subdivision::NONE;
use super::{Triangulation, signed_area};
use crate::error::{Interrupted, TriangulationError};
use crate::progress::{Observer, proceed};

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
        if refiner.points.len() % VERTICES_PER_POLL == 0 {
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
            estimated_vertices: triangulation.vertices.len() + (0.78 * ratio) as usize,
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

struct Refiner {
    points: Vec<Point>,
    triangles: Vec<[u32; 3]>,
    twins: Vec<[u32; 3]>,
    max_doubled_area: f64,
    encroachment: f64,
    queue: Queue,
    cavity: Cavity,
    /// The fan's triangle that starts at a vertex, while a fan is built.
    fan: Vec<u32>,
    reversed: bool,
}

/// Triangles that a new vertex replaces.
#[derive(Default)]
struct Cavity {
    triangles: Vec<u32>,
    rim: Vec<Side>,
    /// Which triangles belong to the current cavity: those that bear its number.
    marks: Vec<u32>,
    number: u32,
}

/// A side of the cavity, and the side behind it.
#[derive(Clone, Copy)]
struct Side {
    from: u32,
    to: u32,
    behind: u32,
}

/// Where a point lies.
enum Place {
    Inside(u32),
    /// Beyond this boundary side.
    Beyond(u32),
}

impl Refiner {
    fn new(triangulation: &mut Triangulation, demand: &Demand, policy: Policy) -> Self {
        let points = std::mem::take(&mut triangulation.vertices);
        let triangles = std::mem::take(&mut triangulation.triangles);
        let ring: Vec<Point> = triangulation.rings[0]
            .iter()
            .map(|&index| points[index as usize])
            .collect();
        Refiner {
            twins: twins(&triangles, points.len()),
            max_doubled_area: 2.0 * demand.max_area,
            encroachment: policy.encroachment,
            queue: Queue::new(policy.classes_per_octave),
            cavity: Cavity::default(),
            fan: vec![NONE; points.len()],
            reversed: signed_area(&ring) < 0.0,
            points,
            triangles,
        }
    }

    fn finish(self, triangulation: &mut Triangulation) {
        triangulation.rings = rings(&self.triangles, &self.twins, self.reversed);
        triangulation.vertices = self.points;
        triangulation.triangles = self.triangles;
    }

    fn enqueue_all(&mut self) {
        (0..self.triangles.len() as u32).for_each(|triangle| self.enqueue(triangle));
    }

    fn enqueue(&mut self, triangle: u32) {
        let doubled_area = self.doubled_area(triangle);
        if doubled_area > self.max_doubled_area {
            self.queue
                .push(triangle, doubled_area / self.max_doubled_area);
        }
    }

    /// Adds one vertex for a triangle, if it still is too large.
    fn improve(&mut self, triangle: u32) {
        if self.doubled_area(triangle) <= self.max_doubled_area {
            return;
        }
        let center = self.circumcenter(triangle);
        let side_in_the_way = match self.locate(center, triangle) {
            Place::Beyond(side) => Some(side),
            Place::Inside(start) => self.dig(center, start),
        };
        match side_in_the_way {
            Some(side) => {
                self.split(side);
                // The triangle may have survived that.
                self.enqueue(triangle);
            }
            None if self.cavity.sees_its_rim(&self.points, center) => self.fill(center, None),
            None => self.split_in_three(triangle),
        }
    }

    /// Adds a vertex in the middle of a boundary side.
    fn split(&mut self, side: u32) {
        let (from, to) = self.ends(side);
        let (a, b) = (self.point(from), self.point(to));
        let middle = [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
        self.dig(middle, side / 3);
        self.cavity.leave_out(from, to);
        if !self.cavity.sees_its_rim(&self.points, middle) {
            self.dig_only(side / 3);
            self.cavity.leave_out(from, to);
        }
        self.fill(middle, Some((from, to)));
    }

    /// The last resort when rounding spoils a cavity: a vertex in the triangle's middle.
    fn split_in_three(&mut self, triangle: u32) {
        let [a, b, c] = self.triangles[triangle as usize].map(|corner| self.point(corner));
        let middle = [(a[0] + b[0] + c[0]) / 3.0, (a[1] + b[1] + c[1]) / 3.0];
        self.dig_only(triangle);
        self.fill(middle, None);
    }

    /// Walks from a triangle towards a point.
    fn locate(&self, point: Point, start: u32) -> Place {
        let mut triangle = start;
        let mut entered = NONE;
        'walk: loop {
            for side in 3 * triangle..3 * triangle + 3 {
                if side == entered {
                    continue;
                }
                let (from, to) = self.ends(side);
                if Adaptive.orientation(self.point(from), self.point(to), point) < 0.0 {
                    let behind = self.twin(side);
                    if behind == NONE {
                        return Place::Beyond(side);
                    }
                    entered = behind;
                    triangle = behind / 3;
                    continue 'walk;
                }
            }
            return Place::Inside(triangle);
        }
    }

    /// Collects the triangles whose circumcircles contain the point, from the one that contains
    /// it. Returns the longest boundary side on its rim that the point is too near to, if any.
    fn dig(&mut self, point: Point, start: u32) -> Option<u32> {
        self.cavity.restart(start);
        let mut encroached = None;
        let mut longest = 0.0;
        let mut next = 0;
        while let Some(&triangle) = self.cavity.triangles.get(next) {
            next += 1;
            for side in 3 * triangle..3 * triangle + 3 {
                let behind = self.twin(side);
                let (from, to) = self.ends(side);
                if behind == NONE {
                    let length = self.encroachment(point, from, to);
                    if length > longest {
                        (encroached, longest) = (Some(side), length);
                    }
                } else if self.cavity.contains(behind / 3) {
                    continue;
                } else if self.is_in_circle(point, behind / 3) {
                    self.cavity.add(behind / 3);
                    continue;
                }
                self.cavity.rim.push(Side { from, to, behind });
            }
        }
        encroached
    }

    fn dig_only(&mut self, triangle: u32) {
        self.cavity.restart(triangle);
        for side in 3 * triangle..3 * triangle + 3 {
            let (from, to) = self.ends(side);
            let behind = self.twin(side);
            self.cavity.rim.push(Side { from, to, behind });
        }
    }

    /// The squared length of a side if the point is too near to it, else 0.
    fn encroachment(&self, point: Point, from: u32, to: u32) -> f64 {
        let (a, b) = (self.point(from), self.point(to));
        let dot = (a[0] - point[0]) * (b[0] - point[0]) + (a[1] - point[1]) * (b[1] - point[1]);
        let lengths = squared_distance(a, point) * squared_distance(b, point);
        let is_near = dot < 0.0 && dot * dot > self.encroachment * self.encroachment * lengths;
        if is_near { squared_distance(a, b) } else { 0.0 }
    }

    /// Replaces the cavity by a fan around a new vertex. If it lies on a boundary side, that
    /// side's ends are given, and the side is not part of the rim.
    fn fill(&mut self, point: Point, on_side: Option<(u32, u32)>) {
        let apex = self.points.len() as u32;
        self.points.push(point);
        self.fan.push(NONE);
        let cavity = std::mem::take(&mut self.cavity);
        let first_new = self.triangles.len();
        self.add_triangles(cavity.rim.len() - cavity.triangles.len());
        let triangle = |rank: usize| match cavity.triangles.get(rank) {
            Some(&replaced) => replaced,
            None => (first_new + rank - cavity.triangles.len()) as u32,
        };
        for (rank, side) in cavity.rim.iter().enumerate() {
            let triangle = triangle(rank);
            self.triangles[triangle as usize] = [apex, side.from, side.to];
            self.join(3 * triangle + 1, side.behind);
            self.fan[side.from as usize] = triangle;
        }
        for (rank, side) in cavity.rim.iter().enumerate() {
            let triangle = triangle(rank);
            if on_side.is_some_and(|(_, to)| to == side.from) {
                self.join(3 * triangle, NONE);
            }
            if on_side.is_some_and(|(from, _)| from == side.to) {
                self.join(3 * triangle + 2, NONE);
            } else {
                self.join(3 * triangle + 2, 3 * self.fan[side.to as usize]);
            }
            self.enqueue(triangle);
        }
        self.cavity = cavity;
    }

    fn add_triangles(&mut self, count: usize) {
        let length = self.triangles.len() + count;
        self.triangles.resize(length, [NONE; 3]);
        self.twins.resize(length, [NONE; 3]);
    }

    fn join(&mut self, side: u32, other: u32) {
        self.twins[(side / 3) as usize][(side % 3) as usize] = other;
        if other != NONE {
            self.twins[(other / 3) as usize][(other % 3) as usize] = side;
        }
    }

    /// Flips sides until all triangles are Delaunay: those of a repaired outline need not be.
    fn make_delaunay(&mut self) {
        let mut suspects: Vec<u32> = (0..3 * self.triangles.len() as u32).collect();
        while let Some(side) = suspects.pop() {
            let behind = self.twin(side);
            if behind == NONE || !self.is_in_circle(self.apex(behind), side / 3) {
                continue;
            }
            self.flip(side, behind);
            suspects.extend(3 * (side / 3)..3 * (side / 3) + 3);
            suspects.extend(3 * (behind / 3)..3 * (behind / 3) + 3);
        }
    }

    fn flip(&mut self, side: u32, behind: u32) {
        let (from, to) = self.ends(side);
        let (left, right) = (self.corner(previous(side)), self.corner(previous(behind)));
        let outer = [previous(side), next(behind), next(side), previous(behind)]
            .map(|side| self.twin(side));
        let (one, two) = (side / 3, behind / 3);
        self.triangles[one as usize] = [left, from, right];
        self.triangles[two as usize] = [right, to, left];
        for (side, other) in [3 * one, 3 * one + 1, 3 * two + 1, 3 * two]
            .into_iter()
            .zip(outer)
        {
            self.join(side, other);
        }
        self.join(3 * one + 2, 3 * two + 2);
    }

    fn apex(&self, side: u32) -> Point {
        self.point(self.corner(previous(side)))
    }

    fn is_in_circle(&self, point: Point, triangle: u32) -> bool {
        let [a, b, c] = self.triangles[triangle as usize].map(|corner| self.point(corner));
        Adaptive.in_circle(a, b, c, point) > 0.0
    }

    fn circumcenter(&self, triangle: u32) -> Point {
        let [a, b, c] = self.triangles[triangle as usize].map(|corner| self.point(corner));
        let (ab, ac) = ([b[0] - a[0], b[1] - a[1]], [c[0] - a[0], c[1] - a[1]]);
        let (ab_length, ac_length) = (ab[0] * ab[0] + ab[1] * ab[1], ac[0] * ac[0] + ac[1] * ac[1]);
        let scale = 0.5 / (ab[0] * ac[1] - ab[1] * ac[0]);
        [
            a[0] + (ac[1] * ab_length - ab[1] * ac_length) * scale,
            a[1] + (ab[0] * ac_length - ac[0] * ab_length) * scale,
        ]
    }

    fn doubled_area(&self, triangle: u32) -> f64 {
        let [a, b, c] = self.triangles[triangle as usize].map(|corner| self.point(corner));
        cross(a, b, c)
    }

    fn point(&self, index: u32) -> Point {
        self.points[index as usize]
    }

    fn corner(&self, side: u32) -> u32 {
        self.triangles[(side / 3) as usize][(side % 3) as usize]
    }

    fn ends(&self, side: u32) -> (u32, u32) {
        (self.corner(side), self.corner(next(side)))
    }

    fn twin(&self, side: u32) -> u32 {
        self.twins[(side / 3) as usize][(side % 3) as usize]
    }
}

impl Cavity {
    fn restart(&mut self, triangle: u32) {
        self.number += 1;
        self.triangles.clear();
        self.rim.clear();
        self.add(triangle);
    }

    fn add(&mut self, triangle: u32) {
        if self.marks.len() <= triangle as usize {
            self.marks.resize(2 * (triangle as usize + 1), 0);
        }
        self.marks[triangle as usize] = self.number;
        self.triangles.push(triangle);
    }

    fn contains(&self, triangle: u32) -> bool {
        self.marks.get(triangle as usize) == Some(&self.number)
    }

    fn leave_out(&mut self, from: u32, to: u32) {
        self.rim.retain(|side| (side.from, side.to) != (from, to));
    }

    /// Whether every side of the rim forms a proper triangle with the point.
    fn sees_its_rim(&self, points: &[Point], point: Point) -> bool {
        let corner = |index: u32| points[index as usize];
        self.rim
            .iter()
            .all(|side| cross(point, corner(side.from), corner(side.to)) > 0.0)
    }
}

/// Triangles that are too large, the largest first to within a class of areas.
struct Queue {
    classes: Vec<Vec<u32>>,
    classes_per_octave: u64,
}

impl Queue {
    fn new(classes_per_octave: u64) -> Self {
        Queue {
            classes: Vec::new(),
            classes_per_octave,
        }
    }

    /// Adds a triangle that is `ratio` (at least 1) times too large.
    fn push(&mut self, triangle: u32, ratio: f64) {
        // Exponent and first bits of the mantissa: a logarithm that is the same everywhere.
        let logarithm = (ratio.to_bits() >> (52 - self.classes_per_octave.ilog2()))
            .saturating_sub(self.classes_per_octave * 1023);
        let class = logarithm as usize;
        if self.classes.len() <= class {
            self.classes.resize(class + 1, Vec::new());
        }
        self.classes[class].push(triangle);
    }

    fn pop(&mut self) -> Option<u32> {
        loop {
            let class = self.classes.last_mut()?;
            match class.pop() {
                Some(triangle) => return Some(triangle),
                None => self.classes.pop(),
            };
        }
    }
}

fn squared_distance(a: Point, b: Point) -> f64 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    dx * dx + dy * dy
}

fn next(side: u32) -> u32 {
    if side % 3 == 2 { side - 2 } else { side + 1 }
}

fn previous(side: u32) -> u32 {
    if side % 3 == 0 { side + 2 } else { side - 1 }
}
