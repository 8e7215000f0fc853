//! The best outline whose vertices are among given ones: a shortest path.
//!
//! Vertices are in the order of the border. An edge costs the area between it and the border, so
//! that the outline of least area with at most k vertices is the shortest way round of at most k
//! edges, found by dynamic programming from a vertex that stays.

use super::ground::Ground;
use super::plane::{PIXEL, Point, is_simple};
use super::ring::{Ring, Vertex};

/// A vertex that may become one of the outline's.
struct Candidate {
    vertex: Vertex,
    /// Steps along the border from the start, and the place along it there.
    order: (u32, i64),
}

/// A way to a candidate.
struct Entry {
    /// The least cost of getting there this way.
    least: i64,
    from: u32,
    cost: i64,
}

struct Search<'a> {
    ground: &'a Ground,
    candidates: Vec<Candidate>,
    /// What a candidate adds to the cost of an edge that leaves it, and of one that ends at it.
    leaving: Vec<i64>,
    ending: Vec<i64>,
    edges: usize,
    /// `costs[candidate * (edges + 1) + edges used]`.
    costs: Vec<i64>,
    previous: Vec<u32>,
}

const UNREACHED: i64 = i64::MAX / 4;

/// An edge may cost less than nothing by this much: its ends do not lie on the border.
const SLACK: i64 = 4 * PIXEL * PIXEL;

/// The best ring of at most `edges` edges through `start`, if it is better than one whose doubled
/// area is `bound`.
pub(crate) fn best_ring(
    ground: &Ground,
    pool: &[Vertex],
    start: Vertex,
    edges: usize,
    bound: i64,
) -> Option<Ring> {
    let mut search = Search::new(ground, pool, start, edges);
    search.run(bound - ground.doubled_area);
    let ring = search.ring()?;
    let areas = ground.doubled_area..bound;
    (areas.contains(&ring.doubled_area()) && is_simple(&ring.points())).then_some(ring)
}

impl<'a> Search<'a> {
    fn new(ground: &'a Ground, pool: &[Vertex], start: Vertex, edges: usize) -> Self {
        let along = |vertex: Vertex| {
            let count = ground.corners.len() as u32;
            let before = ground.corner((vertex.anchor + count - 1) % count);
            let after = ground.corner((vertex.anchor + 1) % count);
            after
                .minus(before)
                .dot(vertex.point.minus(ground.corner(vertex.anchor)))
        };
        let first = along(start);
        let count = ground.corners.len() as u32;
        let order = |vertex: Vertex| {
            let steps = ground.steps(start.anchor, vertex.anchor);
            let along = along(vertex);
            let is_behind = steps == 0 && along < first;
            (if is_behind { count } else { steps }, along)
        };
        let mut candidates: Vec<Candidate> = pool
            .iter()
            .filter(|vertex| vertex.point != start.point)
            .map(|&vertex| Candidate {
                vertex,
                order: order(vertex),
            })
            .collect();
        candidates.sort_unstable_by_key(|candidate| (candidate.order, candidate.vertex.point));
        candidates.dedup_by_key(|candidate| candidate.vertex.point);
        let end = |order| Candidate {
            vertex: start,
            order,
        };
        candidates.insert(0, end((0, first)));
        candidates.push(end((count, first)));
        let cells = candidates.len() * (edges + 1);
        let stub = |vertex: Vertex| ground.corner(vertex.anchor).times(vertex.point);
        // Twice the area under the border from the start to a candidate's anchor.
        let under = |candidate: &Candidate| match candidate.order.0 {
            whole if whole == count => ground.doubled_area,
            _ => ground.sum(start.anchor, candidate.vertex.anchor),
        };
        let leaving = candidates
            .iter()
            .map(|candidate| stub(candidate.vertex) + under(candidate))
            .collect();
        let ending = candidates
            .iter()
            .map(|candidate| -stub(candidate.vertex) - under(candidate))
            .collect();
        Search {
            ground,
            candidates,
            leaving,
            ending,
            edges,
            costs: vec![UNREACHED; cells],
            previous: vec![0; cells],
        }
    }

    fn run(&mut self, bound: i64) {
        let count = self.candidates.len();
        self.costs[0] = 0;
        let mut least = vec![UNREACHED; count];
        least[0] = 0;
        let mut entries: Vec<Entry> = Vec::new();
        for to in 1..count {
            entries.clear();
            for (from, &so_far) in least[..to].iter().enumerate() {
                let cost = self.cost(from, to);
                if cost >= -SLACK && so_far + cost < bound {
                    entries.push(Entry {
                        least: so_far + cost,
                        from: from as u32,
                        cost,
                    });
                }
            }
            // The cheapest first: most of the others gain nothing then, and need no check.
            entries.sort_unstable_by_key(|entry| (entry.least, entry.from));
            for entry in &entries {
                let from = entry.from as usize;
                if !self.gains(from, to, entry.cost, bound) {
                    continue;
                }
                let (a, b) = (self.point(from), self.point(to));
                if a != b && !self.ground.is_crossed_by(a, b) {
                    self.take(from, to, entry.cost);
                }
            }
            least[to] = (1..=self.edges)
                .map(|used| self.costs[to * (self.edges + 1) + used])
                .min()
                .unwrap_or(UNREACHED);
        }
    }

    fn gains(&self, from: usize, to: usize, cost: i64, bound: i64) -> bool {
        let (from, to) = (from * (self.edges + 1), to * (self.edges + 1));
        let source = &self.costs[from..from + self.edges];
        let target = &self.costs[to + 1..to + 1 + self.edges];
        let mut best = bound;
        source.iter().zip(target).any(|(&so_far, &known)| {
            best = best.min(known);
            so_far + cost < best
        })
    }

    fn take(&mut self, from: usize, to: usize, cost: i64) {
        let (source, target) = (from * (self.edges + 1), to * (self.edges + 1));
        for used in 0..self.edges {
            let sum = self.costs[source + used] + cost;
            if sum < self.costs[target + used + 1] {
                self.costs[target + used + 1] = sum;
                self.previous[target + used + 1] = from as u32;
            }
        }
    }

    fn point(&self, index: usize) -> Point {
        self.candidates[index].vertex.point
    }

    /// Twice the area between an edge and the border, counted from the anchors of its ends.
    #[inline]
    fn cost(&self, from: usize, to: usize) -> i64 {
        self.leaving[from] + self.point(from).times(self.point(to)) + self.ending[to]
    }

    fn ring(&self) -> Option<Ring> {
        let last = self.candidates.len() - 1;
        let used =
            (3..=self.edges).min_by_key(|&used| self.costs[last * (self.edges + 1) + used])?;
        if self.costs[last * (self.edges + 1) + used] >= UNREACHED {
            return None;
        }
        let (mut at, mut used) = (last, used);
        let mut vertices = Vec::with_capacity(used);
        while used > 0 {
            at = self.previous[at * (self.edges + 1) + used] as usize;
            vertices.push(self.candidates[at].vertex);
            used -= 1;
        }
        vertices.reverse();
        Some(Ring { vertices })
    }
}
