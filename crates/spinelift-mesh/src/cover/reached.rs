//! Which candidates an edge may come from: four at a time.

use super::plane::Point;
use wide::f64x4;

const LANES: usize = 4;

/// Candidates that are reached, in the order of the border, by columns. Places are below 2^24
/// steps and doubled areas below 2^50: whole numbers that are exact in 64-bit floats.
pub(crate) struct Reached {
    blocks: Vec<Block>,
    count: usize,
}

struct Block {
    candidates: [u32; LANES],
    x: [f64; LANES],
    y: [f64; LANES],
    /// What a candidate adds to the cost of an edge that leaves it.
    leaving: [f64; LANES],
    /// The least cost of getting there.
    least: [f64; LANES],
}

/// Nobody comes from there.
const NOWHERE: Block = Block {
    candidates: [0; LANES],
    x: [0.0; LANES],
    y: [0.0; LANES],
    leaving: [0.0; LANES],
    least: [f64::INFINITY; LANES],
};

/// A way to a candidate.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    /// The least cost of getting there this way.
    pub(crate) least: f64,
    pub(crate) from: u32,
    pub(crate) cost: f64,
}

impl Way {
    /// The cheapest come first.
    pub(crate) fn key(&self) -> (i64, u32) {
        (self.least as i64, self.from)
    }
}

impl Reached {
    pub(crate) fn new() -> Self {
        Reached {
            blocks: Vec::new(),
            count: 0,
        }
    }

    pub(crate) fn push(&mut self, candidate: u32, point: Point, leaving: f64, least: f64) {
        let lane = self.count % LANES;
        if lane == 0 {
            self.blocks.push(NOWHERE);
        }
        self.count += 1;
        if let Some(block) = self.blocks.last_mut() {
            block.candidates[lane] = candidate;
            block.x[lane] = point.x as f64;
            block.y[lane] = point.y as f64;
            block.leaving[lane] = leaving;
            block.least[lane] = least;
        }
    }

    /// Calls `visit` for the ways to a point that cost at least `lowest` for the last edge, and
    /// less than `bound` as a whole. `ending` is what the point adds to the cost of an edge that
    /// ends there.
    pub(crate) fn ways(
        &self,
        to: Point,
        ending: f64,
        [lowest, bound]: [f64; 2],
        mut visit: impl FnMut(Way),
    ) {
        let (x, y) = (f64x4::splat(to.x as f64), f64x4::splat(to.y as f64));
        let ending = f64x4::splat(ending);
        let (lowest, bound) = (f64x4::splat(lowest), f64x4::splat(bound));
        for block in &self.blocks {
            let area = f64x4::new(block.x) * y - f64x4::new(block.y) * x;
            let cost = f64x4::new(block.leaving) + area + ending;
            let least = f64x4::new(block.least) + cost;
            let mut lanes = (cost.simd_ge(lowest) & least.simd_lt(bound)).to_bitmask();
            if lanes == 0 {
                continue;
            }
            let (cost, least) = (cost.to_array(), least.to_array());
            while lanes != 0 {
                let lane = lanes.trailing_zeros() as usize;
                lanes &= lanes - 1;
                visit(Way {
                    least: least[lane],
                    from: block.candidates[lane],
                    cost: cost[lane],
                });
            }
        }
    }
}
