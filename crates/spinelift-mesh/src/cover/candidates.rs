//! Vertices that an outline could have instead of its own, or beside them.

use super::ground::Ground;
use super::plane::{Line, Point, cross};
use super::ring::{Ring, Vertex};
use super::slide::{at_image_edge, halving, outer_hull, vertex_between};

/// Edges between two whose lines are made to meet.
const GAPS: [usize; 2] = [2, 3];

/// Outlines of more vertices do well without tangents from the image's edges.
const MOST_FOR_TANGENTS: usize = 8;

/// Candidates around an outline: where edges meet when the ones between are dropped, where its
/// corners can be cut, the bottoms of its pockets, and where lines meet the image's edges.
pub(crate) fn candidates(ring: &Ring, ground: &Ground) -> Vec<Vertex> {
    let count = ring.len();
    let mut found = Candidates {
        ring,
        ground,
        contacts: (0..count).map(|edge| ring.contact(edge, ground)).collect(),
        vertices: Vec::new(),
    };
    for edge in 0..count {
        for gap in GAPS {
            found.meet(edge, edge + gap);
        }
        if ring.is_convex((edge + 1) % count) {
            found.cut_corner(edge);
        }
        if count <= MOST_FOR_TANGENTS {
            found.reach_image_edge(edge);
        }
        found.fill_pocket(edge);
    }
    found.vertices
}

struct Candidates<'a> {
    ring: &'a Ring,
    ground: &'a Ground,
    contacts: Vec<u32>,
    vertices: Vec<Vertex>,
}

impl Candidates<'_> {
    fn line(&self, edge: usize) -> Line {
        Line::through(self.ring.at(edge).point, self.ring.at(edge + 1).point)
    }

    fn contact(&self, edge: usize) -> u32 {
        self.contacts[edge % self.contacts.len()]
    }

    fn offer(&mut self, point: Option<Point>, from: u32, to: u32) {
        if let Some(point) = point.filter(|&point| self.ground.has(point)) {
            self.vertices
                .push(vertex_between(point, from, to, self.ground));
        }
    }

    fn meet(&mut self, edge: usize, other: usize) {
        let point = self.line(edge).meet(self.line(other));
        self.offer(point, self.contact(edge), self.contact(other));
    }

    /// Lines that support the border between the contacts of two edges.
    fn cut_corner(&mut self, edge: usize) {
        let (first, second) = (self.line(edge), self.line(edge + 1));
        let (from, to) = (self.contact(edge), self.contact(edge + 1));
        let hull = outer_hull(self.ground, from, to, first.along.plus(second.along));
        let at = |corner: u32| self.ground.corner(corner);
        let mut cuts = Vec::new();
        for pair in hull.windows(2) {
            cuts.push((Line::through(at(pair[0]), at(pair[1])), pair[0], pair[1]));
        }
        for near in hull.windows(3) {
            let [a, b, c] = [0, 1, 2].map(|index| at(near[index]));
            let cut = halving(first, second, b);
            let is_support = |cut: &Line| cut.depth(a) >= 0 && cut.depth(c) >= 0;
            cuts.extend(cut.filter(is_support).map(|cut| (cut, near[1], near[1])));
        }
        for (cut, enter, leave) in cuts {
            self.offer(first.meet(cut), from, enter);
            self.offer(cut.meet(second), leave, to);
        }
    }

    /// Where an edge's line meets the image's edges, and the tangents from there.
    fn reach_image_edge(&mut self, edge: usize) {
        let count = self.ring.len();
        let line = self.line(edge);
        let contact = self.contact(edge);
        let ends = at_image_edge(self.ground, line, self.ring.at(edge).point);
        for end in ends.collect::<Vec<_>>() {
            let is_ahead = line.along.dot(end.minus(self.ground.corner(contact))) > 0;
            let beside = |steps: usize| match is_ahead {
                true => edge + steps,
                false => edge + 2 * count - steps,
            };
            let next = self.contact(beside(1));
            let (from, to) = if is_ahead {
                (contact, next)
            } else {
                (next, contact)
            };
            self.offer(Some(end), from, to);
            for other in [beside(2), beside(3)] {
                self.tangent(end, edge, other, is_ahead);
            }
        }
    }

    /// The tangent from a place on an edge's line to the border up to another edge.
    fn tangent(&mut self, end: Point, edge: usize, other: usize, is_ahead: bool) {
        let (near, far) = (self.contact(edge), self.contact(other));
        let (from, to) = if is_ahead { (near, far) } else { (far, near) };
        let touched = self.ground.chain(from, to).reduce(|best, corner| {
            let side = cross(end, self.ground.corner(best), self.ground.corner(corner));
            if (side < 0) == is_ahead { corner } else { best }
        });
        let touched = touched.unwrap_or(from);
        let at = self.ground.corner(touched);
        let tangent = if is_ahead {
            Line::through(end, at)
        } else {
            Line::through(at, end)
        };
        let (from, to) = if is_ahead {
            (touched, far)
        } else {
            (far, touched)
        };
        self.offer(tangent.meet(self.line(other)), from, to);
        for place in at_image_edge(self.ground, tangent, end).collect::<Vec<_>>() {
            self.offer(Some(place), from, to);
        }
    }

    /// The corner of the border that lies deepest below an edge.
    fn fill_pocket(&mut self, edge: usize) {
        let line = self.line(edge);
        let depth = |&corner: &u32| line.depth(self.ground.corner(corner));
        let (from, to) = (self.ring.at(edge).anchor, self.ring.at(edge + 1).anchor);
        if let Some(corner) = self.ground.chain(from, to).max_by_key(depth) {
            self.offer(Some(self.ground.corner(corner)), corner, corner);
        }
    }
}
