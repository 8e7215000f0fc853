//! Fewer vertices by growing outwards: what was covered stays covered.
//!
//! Each step adds a triangle: it drops a reflex vertex, or replaces an edge between two convex
//! vertices by the point where its neighbours meet. The smallest triangle comes first.

use super::plane::{Line, Point, cross, folds, touch};
use super::watch::Watch;
use crate::progress::Stopped;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Vertices whose edges have one bounding box.
const BLOCK: usize = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Drop,
    Merge,
}

/// Cost, vertex, kind, and the vertex's version when it was found.
type Operation = (i64, u32, Kind, u32);

#[derive(Debug, Clone, Copy)]
struct Extent {
    least: Point,
    largest: Point,
}

impl Extent {
    const NOTHING: Extent = Extent {
        least: Point {
            x: i64::MAX,
            y: i64::MAX,
        },
        largest: Point {
            x: i64::MIN,
            y: i64::MIN,
        },
    };

    fn of(points: &[Point]) -> Self {
        let mut extent = Self::NOTHING;
        points.iter().for_each(|&point| extent.add(point));
        extent
    }

    fn add(&mut self, point: Point) {
        self.least = Point::new(self.least.x.min(point.x), self.least.y.min(point.y));
        self.largest = Point::new(self.largest.x.max(point.x), self.largest.y.max(point.y));
    }

    fn meets(&self, other: &Extent) -> bool {
        self.least.x <= other.largest.x
            && other.least.x <= self.largest.x
            && self.least.y <= other.largest.y
            && other.least.y <= self.largest.y
    }
}

/// A ring that loses vertices. A vertex keeps the index of the corner of the border that it
/// began as.
pub(crate) struct Collapse {
    points: Vec<Point>,
    next: Vec<u32>,
    previous: Vec<u32>,
    versions: Vec<u32>,
    is_alive: Vec<bool>,
    blocks: Vec<Extent>,
    queue: BinaryHeap<Reverse<Operation>>,
    blocked: Vec<Operation>,
    count: usize,
    size: [i64; 2],
}

impl Collapse {
    pub(crate) fn new(border: &[Point], size: [i64; 2]) -> Self {
        let count = border.len();
        let mut collapse = Collapse {
            points: border.to_vec(),
            next: (0..count)
                .map(|index| ((index + 1) % count) as u32)
                .collect(),
            previous: (0..count)
                .map(|index| ((index + count - 1) % count) as u32)
                .collect(),
            versions: vec![0; count],
            is_alive: vec![true; count],
            blocks: vec![Extent::NOTHING; count.div_ceil(BLOCK)],
            queue: BinaryHeap::new(),
            blocked: Vec::new(),
            count,
            size,
        };
        for index in 0..count {
            collapse.extend_block(index);
            collapse.offer(index);
        }
        collapse
    }

    /// Goes on until `target` vertices are left, or nothing more can be done.
    pub(crate) fn run_to(&mut self, target: usize, watch: &mut Watch<'_>) -> Result<(), Stopped> {
        let mut retried_at = self.count;
        let mut steps = 0usize;
        while self.count > target.max(3) {
            steps += 1;
            if steps.is_multiple_of(1024) {
                watch.proceed()?;
            }
            if self.count * 20 <= retried_at * 19 {
                retried_at = self.count;
                self.queue.extend(self.blocked.drain(..).map(Reverse));
            }
            let Some(Reverse(operation)) = self.queue.pop() else {
                if self.blocked.is_empty() || retried_at == self.count {
                    return Ok(());
                }
                retried_at = self.count;
                self.queue.extend(self.blocked.drain(..).map(Reverse));
                continue;
            };
            let (_, vertex, kind, version) = operation;
            if self.versions[vertex as usize] != version || !self.is_alive[vertex as usize] {
                continue;
            }
            let is_done = match kind {
                Kind::Drop => self.drop_vertex(vertex as usize),
                Kind::Merge => self.merge_edge(vertex as usize),
            };
            if !is_done {
                self.blocked.push(operation);
            }
        }
        Ok(())
    }

    /// What is left: points, and the corners they began as.
    pub(crate) fn ring(&self) -> (Vec<Point>, Vec<u32>) {
        (0..self.points.len())
            .filter(|&index| self.is_alive[index])
            .map(|index| (self.points[index], index as u32))
            .unzip()
    }

    fn extend_block(&mut self, index: usize) {
        let next = self.points[self.next[index] as usize];
        let block = &mut self.blocks[index / BLOCK];
        block.add(self.points[index]);
        block.add(next);
    }

    /// Two vertices before to two after, without the middle of the five.
    fn around(&self, index: usize) -> [usize; 5] {
        let (before, after) = (self.previous[index], self.next[index]);
        [
            self.previous[before as usize] as usize,
            before as usize,
            index,
            after as usize,
            self.next[after as usize] as usize,
        ]
    }

    fn offer(&mut self, index: usize) {
        let version = self.versions[index];
        let [_, a, b, c, d] = self.around(index).map(|index| self.points[index]);
        let turn = cross(a, b, c);
        if turn <= 0 {
            self.queue
                .push(Reverse((-turn, index as u32, Kind::Drop, version)));
        } else if let Some(q) = self.apex(a, b, c, d) {
            let cost = -cross(b, c, q);
            self.queue
                .push(Reverse((cost, index as u32, Kind::Merge, version)));
        }
    }

    /// Where the neighbours of the edge from b to c meet outside of it.
    fn apex(&self, a: Point, b: Point, c: Point, d: Point) -> Option<Point> {
        if cross(a, b, c) <= 0 || cross(b, c, d) <= 0 {
            return None;
        }
        let (before, after) = (Line::through(a, b), Line::through(c, d));
        // They meet on the outside only if together they turn by less than half a circle.
        if before.along.times(after.along) <= 0 {
            return None;
        }
        let q = before.meet(after)?;
        let is_inside = (0..=self.size[0]).contains(&q.x) && (0..=self.size[1]).contains(&q.y);
        (is_inside && cross(b, c, q) < 0).then_some(q)
    }

    fn touched(&mut self, indices: &[usize]) {
        for &index in indices {
            self.versions[index] = self.versions[index].wrapping_add(1);
            self.offer(index);
        }
    }

    fn remove(&mut self, index: usize) {
        let (before, after) = (self.previous[index], self.next[index]);
        self.next[before as usize] = after;
        self.previous[after as usize] = before;
        self.is_alive[index] = false;
        self.count -= 1;
    }

    fn drop_vertex(&mut self, index: usize) -> bool {
        let [_, before, _, after, _] = self.around(index);
        let [a, b, c] = [before, index, after].map(|index| self.points[index]);
        if a == c {
            return false;
        }
        let extent = Extent::of(&[a, b, c]);
        let is_free = self.near(&extent).all(|other| {
            let point = self.points[other];
            other == before
                || other == index
                || other == after
                || !extent.meets(&Extent::of(&[point]))
                || !(cross(a, c, point) >= 0 && cross(c, b, point) >= 0 && cross(b, a, point) >= 0)
        });
        if !is_free {
            return false;
        }
        self.remove(index);
        self.extend_block(before);
        self.touched(&[self.previous[before] as usize, before, after]);
        true
    }

    fn merge_edge(&mut self, index: usize) -> bool {
        let [_, before, _, after, beyond] = self.around(index);
        if before == beyond {
            return false;
        }
        let [a, b, c, d] = [before, index, after, beyond].map(|index| self.points[index]);
        let Some(q) = self.apex(a, b, c, d) else {
            return false;
        };
        let extent = Extent::of(&[a, q, d]);
        let is_free = self.near(&extent).all(|other| {
            if other == before || other == index || other == after {
                return true;
            }
            let (e, f) = (self.points[other], self.points[self.next[other] as usize]);
            let next = self.next[other] as usize;
            let first = if next == before {
                folds(e, a, q)
            } else {
                touch(a, q, e, f)
            };
            let second = if other == beyond {
                folds(q, d, f)
            } else {
                touch(q, d, e, f)
            };
            !first && !second
        });
        if !is_free || q == a || q == d {
            return false;
        }
        self.points[index] = q;
        self.remove(after);
        self.extend_block(before);
        self.extend_block(index);
        let earlier = self.previous[before] as usize;
        self.touched(&[
            self.previous[earlier] as usize,
            earlier,
            before,
            index,
            beyond,
        ]);
        true
    }

    /// Vertices whose edge to the next one may meet an extent.
    fn near<'a>(&'a self, extent: &'a Extent) -> impl Iterator<Item = usize> + 'a {
        self.blocks
            .iter()
            .enumerate()
            .filter(|(_, block)| block.meets(extent))
            .flat_map(move |(block, _)| block * BLOCK..((block + 1) * BLOCK).min(self.points.len()))
            .filter(|&index| self.is_alive[index])
    }
}
