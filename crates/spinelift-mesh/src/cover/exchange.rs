//! The best outline whose vertices are among given ones: a shortest path.
//!
//! Vertices are in the order of the border. An edge costs the area between it and the border, so
//! that the outline of least area with at most k vertices is the shortest way round of at most k
//! edges, found by dynamic programming from a vertex that stays.

use super::ground::Ground;
use super::plane::{PIXEL, Point, is_simple};
use super::pool::Pool;
use super::reached::{Reached, Way};
use super::ring::{Ring, Vertex};
use super::watch::Watch;
use crate::progress::Stopped;

/// A vertex that may become one of the outline's.
struct Candidate {
    vertex: Vertex,
    /// Its number in the pool.
    number: u32,
    /// Steps along the border from the start, and the place along it there.
    order: (u32, i64),
}

struct Search<'a, 'b> {
    ground: &'a Ground,
    pool: &'b mut Pool<'a>,
    candidates: Vec<Candidate>,
    reached: Reached,
    edges: usize,
    /// `costs[candidate * (edges + 1) + edges used]`: whole numbers.
    costs: Vec<f64>,
    previous: Vec<u32>,
    /// For the candidate that is looked at, by edges used: what a way there has to be below.
    ceiling: Vec<f64>,
}

const UNREACHED: f64 = f64::INFINITY;

/// An edge may cost less than nothing by this much: its ends do not lie on the border.
const SLACK: f64 = (4 * PIXEL * PIXEL) as f64;

/// Candidates between two questions to the observer.
const PATIENCE: usize = 64;

/// The best ring of at most `edges` edges through `start`, if it is better than one whose doubled
/// area is `bound`, and found before time is up.
pub(crate) fn best_ring<'a>(
    ground: &'a Ground,
    pool: &mut Pool<'a>,
    start: Vertex,
    edges: usize,
    bound: i64,
    watch: &mut Watch<'_>,
) -> Result<Option<Ring>, Stopped> {
    let mut search = Search::new(ground, pool, start, edges);
    if !search.run((bound - ground.doubled_area) as f64, watch)? {
        return Ok(None);
    }
    let areas = ground.doubled_area..bound;
    let is_better = |ring: &Ring| areas.contains(&ring.doubled_area()) && is_simple(&ring.points());
    Ok(search.ring().filter(is_better))
}

impl<'a, 'b> Search<'a, 'b> {
    fn new(ground: &'a Ground, pool: &'b mut Pool<'a>, start: Vertex, edges: usize) -> Self {
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
        let start_number = pool.add(start);
        let mut candidates: Vec<Candidate> = (0..)
            .zip(pool.vertices())
            .filter(|(number, _)| *number != start_number)
            .map(|(number, &vertex)| Candidate {
                vertex,
                number,
                order: order(vertex),
            })
            .collect();
        let end = |order| Candidate {
            vertex: start,
            number: start_number,
            order,
        };
        candidates.sort_unstable_by_key(|candidate| (candidate.order, candidate.vertex.point));
        candidates.insert(0, end((0, first)));
        candidates.push(end((count, first)));
        let cells = candidates.len() * (edges + 1);
        Search {
            ground,
            pool,
            candidates,
            reached: Reached::new(),
            edges,
            costs: vec![UNREACHED; cells],
            previous: vec![0; cells],
            ceiling: vec![UNREACHED; edges + 1],
        }
    }

    /// Finds the ways to all candidates; whether it came to the end.
    fn run(&mut self, bound: f64, watch: &mut Watch<'_>) -> Result<bool, Stopped> {
        self.costs[0] = 0.0;
        self.reach(0, 0.0);
        let mut ways: Vec<Way> = Vec::new();
        for to in 1..self.candidates.len() {
            if to % PATIENCE == 1 {
                watch.proceed()?;
                if watch.time_is_up() {
                    return Ok(false);
                }
            }
            self.ceiling.fill(bound);
            self.take_from_the_same(to);
            self.find_ways(to, bound, &mut ways);
            ways.sort_unstable_by_key(Way::key);
            for way in &ways {
                self.take_if_free(to, way);
            }
            let costs = &self.costs[self.row(to)];
            let least = costs.iter().copied().fold(UNREACHED, f64::min);
            if least < UNREACHED {
                self.reach(to, least);
            }
        }
        Ok(true)
    }

    /// Edges from where those to the candidate before came: likely the best, after which most
    /// others gain nothing and need no place in an order.
    fn take_from_the_same(&mut self, to: usize) {
        let row = self.row(to - 1);
        let (_, ending) = self.shares(to);
        let mut last = None;
        for used in row {
            if self.costs[used] == UNREACHED || last == Some(self.previous[used]) {
                continue;
            }
            let from = self.previous[used];
            last = Some(from);
            let (leaving, _) = self.shares(from as usize);
            let area = self.point(from as usize).times(self.point(to)) as f64;
            let cost = leaving + area + ending;
            if cost >= -SLACK {
                let least = cost;
                self.take_if_free(to, &Way { least, from, cost });
            }
        }
    }

    /// Ways that gain something if they are free, but for those that are known not to be.
    fn find_ways(&self, to: usize, bound: f64, ways: &mut Vec<Way>) {
        ways.clear();
        let (_, ending) = self.shares(to);
        self.reached
            .ways(self.point(to), ending, [-SLACK, bound], |way| {
                let [a, b] = self.numbers(&way, to);
                if self.gains(&way) && self.pool.known(a, b) != Some(false) {
                    ways.push(way);
                }
            });
    }

    fn take_if_free(&mut self, to: usize, way: &Way) {
        let [a, b] = self.numbers(way, to);
        if self.gains(way) && a != b && self.pool.are_in_sight(a, b) {
            self.take(to, way);
        }
    }

    fn numbers(&self, way: &Way, to: usize) -> [u32; 2] {
        [way.from as usize, to].map(|index| self.candidates[index].number)
    }

    fn row(&self, candidate: usize) -> std::ops::Range<usize> {
        let width = self.edges + 1;
        candidate * width..(candidate + 1) * width
    }

    fn gains(&self, way: &Way) -> bool {
        let source = &self.costs[self.row(way.from as usize)][..self.edges];
        let sums = source.iter().map(|so_far| so_far + way.cost);
        // Without a way out, so that several are compared at once.
        sums.zip(&self.ceiling[1..])
            .fold(false, |gains, (sum, &ceiling)| gains | (sum < ceiling))
    }

    fn take(&mut self, to: usize, way: &Way) {
        let (source, target) = (self.row(way.from as usize).start, self.row(to).start);
        let (before, here) = self.costs.split_at_mut(target);
        let costs = &mut here[1..=self.edges];
        let previous = &mut self.previous[target + 1..=target + self.edges];
        for ((so_far, cost), previous) in before[source..].iter().zip(&mut *costs).zip(previous) {
            let sum = so_far + way.cost;
            let is_better = sum < *cost;
            *cost = if is_better { sum } else { *cost };
            *previous = if is_better { way.from } else { *previous };
        }
        let mut least = UNREACHED;
        for (cost, ceiling) in costs.iter().zip(&mut self.ceiling[1..]) {
            least = if *cost < least { *cost } else { least };
            *ceiling = if least < *ceiling { least } else { *ceiling };
        }
    }

    fn reach(&mut self, index: usize, least: f64) {
        let (leaving, _) = self.shares(index);
        self.reached
            .push(index as u32, self.point(index), leaving, least);
    }

    fn point(&self, index: usize) -> Point {
        self.candidates[index].vertex.point
    }

    /// What a candidate adds to twice the area between an edge and the border, counted from the
    /// anchors of its ends: where the edge leaves it, and where it ends there.
    fn shares(&self, index: usize) -> (f64, f64) {
        let Candidate { vertex, order, .. } = &self.candidates[index];
        let stub = self.ground.corner(vertex.anchor).times(vertex.point);
        // Twice the area under the border from the start to the anchor.
        let under = if order.0 == self.ground.corners.len() as u32 {
            self.ground.doubled_area
        } else {
            self.ground
                .sum(self.candidates[0].vertex.anchor, vertex.anchor)
        };
        ((stub + under) as f64, -(stub + under) as f64)
    }

    fn ring(&self) -> Option<Ring> {
        let last = &self.costs[self.row(self.candidates.len() - 1)];
        let used = (3..=self.edges).min_by(|&a, &b| last[a].total_cmp(&last[b]))?;
        if last[used] == UNREACHED {
            return None;
        }
        let (mut at, mut used) = (self.candidates.len() - 1, used);
        let mut vertices = Vec::with_capacity(used);
        while used > 0 {
            at = self.previous[self.row(at).start + used] as usize;
            vertices.push(self.candidates[at].vertex);
            used -= 1;
        }
        vertices.reverse();
        Some(Ring { vertices })
    }
}
