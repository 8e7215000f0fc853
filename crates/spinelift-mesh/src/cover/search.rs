//! The outline of least area within a budget of vertices.

use super::candidates::candidates;
use super::collapse::Collapse;
use super::exchange::best_ring;
use super::ground::Ground;
use super::plane::{PIXEL, Point};
use super::pool::Pool;
use super::ring::{Ring, Vertex};
use super::slide::slide_all;
use super::watch::Watch;
use crate::progress::Stopped;

/// Rounds of exchanging and sliding, at the most, and without success.
const ROUNDS: usize = 16;
const ROUNDS_IN_VAIN: usize = 2;

/// Vertices beyond the budget that an outline has for a while, in turns.
const EXTRA: [usize; 4] = [0, 2, 4, 1];

/// Twice the area that a round has to win to be a success.
const LEAST_GAIN: i64 = 2 * PIXEL * PIXEL;

/// Searches an outline of at most `budget` vertices, at least four.
pub(crate) fn search(
    ground: &Ground,
    budget: usize,
    watch: &mut Watch<'_>,
) -> Result<Ring, Stopped> {
    let mut collapse = Collapse::new(&ground.corners, ground.size());
    collapse.run_to(2 * budget + 16, watch)?;
    let mut wide = ring_of(&collapse);
    collapse.run_to(budget, watch)?;
    let mut best = ring_of(&collapse);
    if best.len() > budget {
        best = rectangle(ground);
    }
    slide_all(&mut best, ground, 6, watch)?;
    if watch.time_is_up() {
        return Ok(best);
    }
    slide_all(&mut wide, ground, 2, watch)?;
    let mut search = Search {
        ground,
        budget,
        pool: Pool::new(ground),
        best,
    };
    search.add(&wide);
    search.add(&rectangle(ground));
    search.run(watch)?;
    Ok(search.best)
}

struct Search<'a> {
    ground: &'a Ground,
    budget: usize,
    /// Vertices that are chosen from.
    pool: Pool<'a>,
    best: Ring,
}

impl Search<'_> {
    fn add(&mut self, ring: &Ring) {
        self.pool.extend(ring.vertices.iter().copied());
        self.pool.extend(candidates(ring, self.ground));
    }

    fn run(&mut self, watch: &mut Watch<'_>) -> Result<(), Stopped> {
        let mut in_vain = 0;
        for round in 0..ROUNDS {
            let before = self.best.doubled_area();
            let best = self.best.clone();
            self.add(&best);
            let larger = self.with_extra(EXTRA[round % EXTRA.len()], round, watch)?;
            let first = larger.unwrap_or(best).at(round);
            self.exchange(first, watch)?;
            // From the other side of the outline.
            let second = self.best.at(round + self.best.len() / 2);
            self.exchange(second, watch)?;
            let is_success = before - self.best.doubled_area() >= LEAST_GAIN;
            in_vain = if is_success { 0 } else { in_vain + 1 };
            if in_vain == ROUNDS_IN_VAIN || watch.time_is_up() {
                break;
            }
        }
        Ok(())
    }

    /// A better outline of some vertices more; the pool becomes what it suggests.
    fn with_extra(
        &mut self,
        extra: usize,
        round: usize,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Ring>, Stopped> {
        if extra == 0 {
            return Ok(None);
        }
        let (budget, bound) = (self.budget + extra, self.best.doubled_area());
        let start = self.best.at(round);
        let Some(mut ring) = best_ring(self.ground, &mut self.pool, start, budget, bound, watch)?
        else {
            return Ok(None);
        };
        slide_all(&mut ring, self.ground, 4, watch)?;
        self.pool.clear();
        self.add(&ring);
        self.pool.extend(self.best.vertices.iter().copied());
        Ok(Some(ring))
    }

    /// The best outline of the pool through a vertex becomes the best, if it is better.
    fn exchange(&mut self, through: Vertex, watch: &mut Watch<'_>) -> Result<(), Stopped> {
        watch.proceed()?;
        let bound = self.best.doubled_area();
        let pool = &mut self.pool;
        if let Some(mut ring) = best_ring(self.ground, pool, through, self.budget, bound, watch)? {
            slide_all(&mut ring, self.ground, 4, watch)?;
            self.pool.extend(ring.vertices.iter().copied());
            self.best = ring;
        }
        Ok(())
    }
}

fn ring_of(collapse: &Collapse) -> Ring {
    let (points, anchors) = collapse.ring();
    let vertices = points
        .into_iter()
        .zip(anchors)
        .map(|(point, anchor)| Vertex { point, anchor })
        .collect();
    Ring { vertices }
}

/// The border's bounding box.
pub(crate) fn rectangle(ground: &Ground) -> Ring {
    let extreme = |key: &dyn Fn(Point) -> i64| {
        let corners = ground.corners.iter().map(|&corner| key(corner));
        corners.max().unwrap_or_default()
    };
    let (right, bottom) = (extreme(&|corner| corner.x), extreme(&|corner| corner.y));
    let (left, top) = (-extreme(&|corner| -corner.x), -extreme(&|corner| -corner.y));
    let nearest = |point: Point, towards: Point| {
        let reach = |&index: &usize| towards.dot(ground.corners[index]);
        let anchor = (0..ground.corners.len()).max_by_key(reach).unwrap_or(0) as u32;
        Vertex { point, anchor }
    };
    Ring {
        vertices: vec![
            nearest(Point::new(left, top), Point::new(-1, -1)),
            nearest(Point::new(right, top), Point::new(1, -1)),
            nearest(Point::new(right, bottom), Point::new(1, 1)),
            nearest(Point::new(left, bottom), Point::new(-1, 1)),
        ],
    }
}
