//! Forcing the outline's segments into a Delaunay triangulation.
//!
//! A missing segment is won by flipping the edges that cross it, then the new edges are made
//! Delaunay again (Sloan, "A fast algorithm for generating constrained Delaunay
//! triangulations", 1993).

use super::predicates::{Point, Predicates};
use super::subdivision::{NONE, Subdivision, twin};
use std::collections::VecDeque;

/// Two segments cross at a place that is no vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crossing;

/// Inserts segments into a triangulation.
pub(super) struct Constraints<'a, P> {
    points: &'a [Point],
    predicates: P,
    subdivision: &'a mut Subdivision,
    /// For each vertex, a half-edge that leaves it.
    leaving: Vec<u32>,
    /// How often a segment ran through a vertex, or along another segment.
    touches: usize,
}

/// Where a segment goes from its start.
enum Course {
    /// Along this edge.
    Along(u32),
    /// Through the triangle whose far edge this is.
    Across(u32),
}

impl<'a, P: Predicates> Constraints<'a, P> {
    pub(super) fn new(
        points: &'a [Point],
        predicates: P,
        subdivision: &'a mut Subdivision,
    ) -> Self {
        let mut leaving = vec![NONE; points.len()];
        for edge in subdivision.half_edges() {
            leaving[subdivision.origin(edge) as usize] = edge;
        }
        Constraints {
            points,
            predicates,
            subdivision,
            leaving,
            touches: 0,
        }
    }

    /// Inserts the segment between two vertices; where it runs through other vertices, its
    /// pieces.
    pub(super) fn insert(&mut self, from: u32, to: u32) -> Result<(), Crossing> {
        let mut from = from;
        while from != to {
            from = match self.course(from, to) {
                Course::Along(edge) => {
                    self.mark(edge);
                    self.subdivision.destination(edge)
                }
                Course::Across(edge) => self.force(from, to, edge)?,
            };
            self.touches += usize::from(from != to);
        }
        Ok(())
    }

    /// How often segments touched vertices or one another.
    pub(super) fn touches(&self) -> usize {
        self.touches
    }

    fn mark(&mut self, edge: u32) {
        self.touches += usize::from(self.subdivision.is_constrained(edge));
        self.subdivision.constrain(edge);
    }

    fn course(&self, from: u32, to: u32) -> Course {
        match self.edge_between(from, to) {
            Some(edge) => Course::Along(edge),
            None => self.course_without_edge(from, to),
        }
    }

    /// Most segments are edges already.
    fn edge_between(&self, from: u32, to: u32) -> Option<u32> {
        let start = self.leaving[from as usize];
        let mut edge = start;
        loop {
            if self.subdivision.destination(edge) == to {
                return Some(edge);
            }
            edge = self.subdivision.next_around_origin(edge);
            if edge == start {
                return None;
            }
        }
    }

    fn course_without_edge(&self, from: u32, to: u32) -> Course {
        let s = &*self.subdivision;
        let start = self.leaving[from as usize];
        let mut edge = start;
        loop {
            let end = s.destination(edge);
            let side = self.orientation(from, end, to);
            if side == 0.0 && self.is_ahead(from, end, to) {
                return Course::Along(edge);
            }
            let next = s.next_around_origin(edge);
            let is_between = side > 0.0 && self.orientation(from, s.destination(next), to) < 0.0;
            // The target may be a vertex of this triangle's far edge; it is then found as a
            // destination when its turn comes.
            if is_between && s.left_apex(edge) == s.destination(next) {
                return Course::Across(s.next_around_left(edge));
            }
            edge = next;
            debug_assert!(edge != start, "the triangulation covers the convex hull");
        }
    }

    /// Makes the segment an edge by flips. `crossed` is the first edge in its way. Returns where
    /// it ends: at `to`, or at the first vertex it runs through.
    fn force(&mut self, from: u32, to: u32, crossed: u32) -> Result<u32, Crossing> {
        let (mut crossed, end) = self.crossed_edges(from, to, crossed)?;
        let mut created = Vec::new();
        while let Some(edge) = crossed.pop_front() {
            if !self.is_convex(edge) {
                crossed.push_back(edge);
                continue;
            }
            self.flip(edge);
            let s = &*self.subdivision;
            let (a, b) = (s.origin(edge), s.destination(edge));
            if a == from && b == end || a == end && b == from {
                self.mark(edge);
            } else if self.separates(from, end, a, b) {
                crossed.push_back(edge);
            } else {
                created.push(edge);
            }
        }
        self.restore(&created);
        Ok(end)
    }

    /// All edges that the segment crosses, in order, and the vertex where it ends.
    fn crossed_edges(
        &self,
        from: u32,
        to: u32,
        first: u32,
    ) -> Result<(VecDeque<u32>, u32), Crossing> {
        let s = &*self.subdivision;
        let mut crossed = VecDeque::new();
        let mut edge = first;
        loop {
            if s.is_constrained(edge) {
                return Err(Crossing);
            }
            crossed.push_back(edge);
            // The triangle behind the edge.
            let behind = twin(edge);
            let apex = s.left_apex(behind);
            let side = self.orientation(from, to, apex);
            if apex == to || side == 0.0 {
                return Ok((crossed, apex));
            }
            let next = s.next_around_left(behind);
            edge = if self.separates(from, to, s.origin(next), apex) {
                next
            } else {
                s.next_around_left(next)
            };
        }
    }

    /// Flips edges among `edges` until all of them are Delaunay.
    fn restore(&mut self, edges: &[u32]) {
        let mut changed = true;
        while changed {
            changed = false;
            for &edge in edges {
                if !self.subdivision.is_constrained(edge) && self.is_illegal(edge) {
                    self.flip(edge);
                    changed = true;
                }
            }
        }
    }

    fn is_illegal(&self, edge: u32) -> bool {
        let s = &*self.subdivision;
        let (a, b) = (s.origin(edge), s.destination(edge));
        let (left, right) = (s.left_apex(edge), s.left_apex(twin(edge)));
        let at = |index: u32| self.points[index as usize];
        self.predicates.in_circle(at(a), at(b), at(left), at(right)) > 0.0
    }

    fn flip(&mut self, edge: u32) {
        for half in [edge, twin(edge)] {
            let other = self.subdivision.next_around_origin(half);
            self.leaving[self.subdivision.origin(half) as usize] = other;
        }
        self.subdivision.flip(edge);
    }

    /// Whether the two triangles at the edge form a strictly convex quadrilateral.
    fn is_convex(&self, edge: u32) -> bool {
        let s = &*self.subdivision;
        let (a, b) = (s.origin(edge), s.destination(edge));
        let (left, right) = (s.left_apex(edge), s.left_apex(twin(edge)));
        self.separates(left, right, a, b)
    }

    /// Whether `a` and `b` lie strictly on different sides of the line from `from` to `to`.
    fn separates(&self, from: u32, to: u32, a: u32, b: u32) -> bool {
        let (a, b) = (self.orientation(from, to, a), self.orientation(from, to, b));
        a < 0.0 && b > 0.0 || a > 0.0 && b < 0.0
    }

    fn is_ahead(&self, from: u32, a: u32, b: u32) -> bool {
        let at = |index: u32| self.points[index as usize];
        let (from, a, b) = (at(from), at(a), at(b));
        // On one line the signs of the differences tell; no product that could round.
        (0..2).all(|axis| (a[axis] - from[axis]) * (b[axis] - from[axis]) >= 0.0)
    }

    fn orientation(&self, a: u32, b: u32, c: u32) -> f64 {
        let at = |index: u32| self.points[index as usize];
        self.predicates.orientation(at(a), at(b), at(c))
    }
}
