//! The mesh while it is refined.

use super::cavity::{Cavity, Side};
use super::queue::Queue;
use super::{Demand, Policy};
use crate::triangulation::predicates::{Adaptive, Point, Predicates, cross};
use crate::triangulation::rings::{next_side, previous_side, rings, twins};
use crate::triangulation::subdivision::NONE;
use crate::triangulation::{Triangulation, signed_area};

pub(super) struct Refiner {
    pub(super) points: Vec<Point>,
    triangles: Vec<[u32; 3]>,
    twins: Vec<[u32; 3]>,
    max_doubled_area: f64,
    encroachment: f64,
    pub(super) queue: Queue,
    cavity: Cavity,
    /// The fan's triangle that starts at a vertex, while a fan is built.
    fan: Vec<u32>,
    reversed: bool,
}

/// Where a point lies.
enum Place {
    Inside(u32),
    /// Beyond this boundary side.
    Beyond(u32),
}

impl Refiner {
    pub(super) fn new(triangulation: &mut Triangulation, demand: &Demand, policy: Policy) -> Self {
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

    pub(super) fn finish(self, triangulation: &mut Triangulation) {
        triangulation.rings = rings(&self.triangles, &self.twins, self.reversed);
        triangulation.vertices = self.points;
        triangulation.triangles = self.triangles;
    }

    pub(super) fn enqueue_all(&mut self) {
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
    pub(super) fn improve(&mut self, triangle: u32) {
        if self.doubled_area(triangle) <= self.max_doubled_area {
            return;
        }
        let center = self.circumcenter(triangle);
        let side_in_the_way = match self.locate(center, triangle) {
            Place::Beyond(side) => Some(side),
            Place::Inside(start) => self.dig(center, start),
        };
        match side_in_the_way {
            Some(side) if self.is_worth_splitting(side) && self.split(side) => {
                // The triangle may have survived that.
                self.enqueue(triangle);
            }
            None if self.cavity.sees_its_rim(&self.points, center) => self.fill(center, None),
            _ => self.insert_centroid(triangle),
        }
    }

    /// Whether a boundary side is not yet short beside a triangle that is as large as may be, and
    /// its own triangle is not so thin that the side's middle, rounded, could lie beyond it.
    fn is_worth_splitting(&self, side: u32) -> bool {
        let (from, to) = self.ends(side);
        squared_distance(self.point(from), self.point(to)) > 0.1 * self.max_doubled_area
            && self.doubled_area(side / 3) > 1e-6 * self.max_doubled_area
    }

    /// Adds a vertex in the middle of a boundary side, unless rounding puts it where a triangle
    /// would be turned over.
    fn split(&mut self, side: u32) -> bool {
        let (from, to) = self.ends(side);
        let (a, b) = (self.point(from), self.point(to));
        let middle = [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
        self.dig(middle, side / 3);
        self.cavity.leave_out(from, to);
        if !self.cavity.sees_its_rim(&self.points, middle) {
            self.dig_only(side / 3);
            self.cavity.leave_out(from, to);
        }
        let is_possible = self.cavity.sees_its_rim(&self.points, middle);
        if is_possible {
            self.fill(middle, Some((from, to)));
        }
        is_possible
    }

    /// Adds a vertex in the triangle's middle: seldom the best place, but always inside, unless
    /// the triangle is as thin as a rounding error. Then it stays as it is.
    fn insert_centroid(&mut self, triangle: u32) {
        let [a, b, c] = self.triangles[triangle as usize].map(|corner| self.point(corner));
        let middle = [(a[0] + b[0] + c[0]) / 3.0, (a[1] + b[1] + c[1]) / 3.0];
        self.dig(middle, triangle);
        if !self.cavity.sees_its_rim(&self.points, middle) {
            self.dig_only(triangle);
        }
        if self.cavity.sees_its_rim(&self.points, middle) {
            self.fill(middle, None);
        }
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
    pub(super) fn make_delaunay(&mut self) {
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
        let (left, right) = (
            self.corner(previous_side(side)),
            self.corner(previous_side(behind)),
        );
        let outer = [
            previous_side(side),
            next_side(behind),
            next_side(side),
            previous_side(behind),
        ]
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
        self.point(self.corner(previous_side(side)))
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
        (self.corner(side), self.corner(next_side(side)))
    }

    fn twin(&self, side: u32) -> u32 {
        self.twins[(side / 3) as usize][(side % 3) as usize]
    }
}

fn squared_distance(a: Point, b: Point) -> f64 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    dx * dx + dy * dy
}
