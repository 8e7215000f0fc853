//! Points and segments, and the splitting of segments where they cross.

use super::predicates::{Adaptive, Point, Predicates};
use crate::progress::{Observer, Stopped, proceed};
use std::collections::{HashMap, HashSet};

/// Pairs of segments, and segments, between two questions to the observer.
const PAIRS_PER_POLL: usize = 1 << 12;
const SEGMENTS_PER_POLL: usize = 1 << 6;

/// Distinct points joined by segments.
#[derive(Debug, Clone)]
pub(super) struct PlanarGraph {
    pub(super) points: Vec<Point>,
    /// The points' indices by x, then y.
    pub(super) sorted: Vec<u32>,
    /// `None`: the convex hull instead.
    pub(super) segments: Option<Vec<[u32; 2]>>,
}

impl PlanarGraph {
    /// A closed ring. Points that occur again are taken once.
    pub(super) fn ring(ring: &[Point]) -> Self {
        let sorted = sorted(ring);
        let is_repeated = |pair: &[u32]| ring[pair[0] as usize] == ring[pair[1] as usize];
        if sorted.windows(2).any(is_repeated) {
            let mut collected = Distinct::default();
            let indices: Vec<u32> = ring.iter().map(|&point| collected.index(point)).collect();
            let sorted = self::sorted(&collected.points);
            return PlanarGraph {
                points: collected.points,
                sorted,
                segments: Some(close(&indices)),
            };
        }
        let indices: Vec<u32> = (0..ring.len() as u32).collect();
        PlanarGraph {
            points: ring.to_vec(),
            sorted,
            segments: Some(close(&indices)),
        }
    }

    /// A closed ring and points that belong to no segment; `None` where two are the same.
    pub(super) fn ring_around(ring: &[Point], inside: &[Point]) -> Option<Self> {
        let points = [ring, inside].concat();
        let sorted = sorted(&points);
        let is_repeated = |pair: &[u32]| points[pair[0] as usize] == points[pair[1] as usize];
        if sorted.windows(2).any(is_repeated) {
            return None;
        }
        let indices: Vec<u32> = (0..ring.len() as u32).collect();
        Some(PlanarGraph {
            points,
            sorted,
            segments: Some(close(&indices)),
        })
    }

    /// The same points and their convex hull.
    pub(super) fn without_segments(&self) -> Self {
        PlanarGraph {
            segments: None,
            ..self.clone()
        }
    }

    /// Splits every two segments that cross, at the intersection rounded to a fine grid, and every
    /// segment at the points that lie on it, to the accuracy of the grid: snap rounding (Hobby,
    /// "Practical segment intersection with finite precision output", 1999). Without the second,
    /// segments that run almost along one another would cross anew wherever they are split.
    /// Returns the number of such places. Ends early with more than `max_points` points.
    pub(super) fn split_crossings(
        &mut self,
        max_points: usize,
        observer: &mut dyn Observer,
    ) -> Result<usize, Stopped> {
        let step = self.grid_step();
        self.round_points(step);
        let touches = self.split_at_points(step, observer)?;
        let segments = self.segments.take().unwrap_or_default();
        let mut collected = Distinct::new(&self.points);
        let mut cuts: Vec<Vec<u32>> = vec![Vec::new(); segments.len()];
        let mut crossings = 0;
        for (index, (first, second)) in self.near_pairs(&segments).enumerate() {
            if index % PAIRS_PER_POLL == 0 {
                proceed(observer.poll())?;
            }
            let [a, b] = segments[first].map(|end| self.points[end as usize]);
            let [c, d] = segments[second].map(|end| self.points[end as usize]);
            if let Some(point) = intersection(a, b, c, d, step) {
                let ends = segments[first].into_iter().chain(segments[second]);
                let end = ends
                    .zip([a, b, c, d])
                    .find(|(_, end)| is_near(*end, point, step));
                let cut = end.map_or_else(|| collected.index(point), |(index, _)| index);
                cuts[first].push(cut);
                cuts[second].push(cut);
                crossings += 1;
            }
            if collected.points.len() > max_points {
                break;
            }
        }
        self.points = collected.points;
        self.sorted = sorted(&self.points);
        self.segments = Some(self.cut_all(&segments, cuts));
        if crossings > 0 && self.points.len() <= max_points {
            self.split_at_points(step, observer)?;
        }
        Ok(touches + crossings)
    }

    /// A power of two about 2⁻²² of the extent: 1/1024 pixel in an image of 4096.
    fn grid_step(&self) -> f64 {
        let extent = |axis: usize| {
            let values = self.points.iter().map(|point| point[axis]);
            let least = values.clone().fold(f64::INFINITY, f64::min);
            values.fold(f64::NEG_INFINITY, f64::max) - least
        };
        let exponent = extent(0).max(extent(1)).to_bits() >> 52;
        f64::from_bits(exponent.saturating_sub(22) << 52)
    }

    /// Moves the points onto the grid (whole numbers of pixels are on it already), so that points
    /// that almost lie on a segment do or do not.
    fn round_points(&mut self, step: f64) {
        let mut collected = Distinct::default();
        let rounded = self
            .points
            .iter()
            .map(|&point| collected.index(round(point, step)));
        let rounded: Vec<u32> = rounded.collect();
        self.points = collected.points;
        self.sorted = sorted(&self.points);
        let segments = self.segments.iter().flatten();
        let moved = segments.map(|segment| segment.map(|end| rounded[end as usize]));
        self.segments = Some(moved.filter(|[a, b]| a != b).collect());
    }

    /// Splits segments at the points whose cell of the grid they pass through, so that segments
    /// that run along one another become the same ones, of which one is kept.
    fn split_at_points(
        &mut self,
        step: f64,
        observer: &mut dyn Observer,
    ) -> Result<usize, Stopped> {
        let segments = self.segments.take().unwrap_or_default();
        let mut cuts = Vec::with_capacity(segments.len());
        for (index, &segment) in segments.iter().enumerate() {
            if index % SEGMENTS_PER_POLL == 0 {
                proceed(observer.poll())?;
            }
            cuts.push(self.points_on(segment, step / 2.0));
        }
        let count = cuts.iter().map(Vec::len).sum();
        let mut pieces = self.cut_all(&segments, cuts);
        let mut seen = HashSet::new();
        pieces.retain(|&[a, b]| seen.insert([a.min(b), a.max(b)]));
        self.segments = Some(pieces);
        Ok(count)
    }

    /// Points other than its ends that a segment passes, no further than `reach` in x and in y.
    fn points_on(&self, [from, to]: [u32; 2], reach: f64) -> Vec<u32> {
        let (a, b) = (self.points[from as usize], self.points[to as usize]);
        let x = |index: &u32| self.points[*index as usize][0];
        let first = self
            .sorted
            .partition_point(|index| x(index) < a[0].min(b[0]) - reach);
        let near = self.sorted[first..]
            .iter()
            .take_while(|index| x(index) <= a[0].max(b[0]) + reach);
        let rows = a[1].min(b[1]) - reach..=a[1].max(b[1]) + reach;
        // How large the cross product is where the line touches a corner of the cell.
        let at_corner = reach * ((b[0] - a[0]).abs() + (b[1] - a[1]).abs());
        let is_passed = |index: &u32| {
            let point = self.points[*index as usize];
            *index != from
                && *index != to
                && rows.contains(&point[1])
                && Adaptive.orientation(a, b, point).abs() <= at_corner
        };
        near.copied().filter(is_passed).collect()
    }

    fn cut_all(&self, segments: &[[u32; 2]], cuts: Vec<Vec<u32>>) -> Vec<[u32; 2]> {
        let pieces = segments.iter().zip(cuts);
        pieces
            .flat_map(|(&segment, cuts)| self.cut(segment, cuts))
            .collect()
    }

    /// Pairs of segments whose bounding boxes overlap, by a sweep over x.
    fn near_pairs<'a>(
        &'a self,
        segments: &'a [[u32; 2]],
    ) -> impl Iterator<Item = (usize, usize)> + 'a {
        let span = |segment: usize, axis: usize| {
            let [a, b] = segments[segment].map(|end| self.points[end as usize][axis]);
            (a.min(b), a.max(b))
        };
        let mut order: Vec<usize> = (0..segments.len()).collect();
        order.sort_by(|&a, &b| span(a, 0).0.total_cmp(&span(b, 0).0));
        (0..order.len()).flat_map(move |rank| {
            let first = order[rank];
            let (x, y) = (span(first, 0), span(first, 1));
            let after: Vec<usize> = order[rank + 1..]
                .iter()
                .copied()
                .take_while(|&second| span(second, 0).0 <= x.1)
                .filter(|&second| span(second, 1).0 <= y.1 && y.0 <= span(second, 1).1)
                .collect();
            after.into_iter().map(move |second| (first, second))
        })
    }

    /// The pieces of a segment between its cuts.
    fn cut(&self, [from, to]: [u32; 2], mut cuts: Vec<u32>) -> Vec<[u32; 2]> {
        let (start, end) = (self.points[from as usize], self.points[to as usize]);
        // Along the segment, from which a cut may be a little off.
        let distance = |cut: u32| {
            let point = self.points[cut as usize];
            let along = |axis: usize| (point[axis] - start[axis]) * (end[axis] - start[axis]);
            along(0) + along(1)
        };
        cuts.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(a.cmp(&b)));
        let stations: Vec<u32> = std::iter::once(from)
            .chain(cuts)
            .chain(std::iter::once(to))
            .collect();
        let pieces = stations.windows(2).map(|pair| [pair[0], pair[1]]);
        pieces.filter(|[a, b]| a != b).collect()
    }
}

/// Where two segments cross at a place inside both, rounded to multiples of `step`.
fn intersection(a: Point, b: Point, c: Point, d: Point, step: f64) -> Option<Point> {
    let side = |p, q, r| Adaptive.orientation(p, q, r);
    let (of_c, of_d) = (side(a, b, c), side(a, b, d));
    let (of_a, of_b) = (side(c, d, a), side(c, d, b));
    let crosses = of_c * of_d < 0.0 && of_a * of_b < 0.0;
    crosses.then(|| {
        let share = of_a / (of_a - of_b);
        let point = [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])];
        round(point, step)
    })
}

fn round(point: Point, step: f64) -> Point {
    point.map(|value| (value / step).round() * step)
}

/// Whether a point is so near to a segment's end that the end is taken for it.
fn is_near(end: Point, point: Point, step: f64) -> bool {
    (0..2).all(|axis| (end[axis] - point[axis]).abs() <= step)
}

fn close(indices: &[u32]) -> Vec<[u32; 2]> {
    let next = indices.iter().cycle().skip(1);
    indices
        .iter()
        .zip(next)
        .map(|(&a, &b)| [a, b])
        .filter(|[a, b]| a != b)
        .collect()
}

/// The points' indices by x, then y, then index.
fn sorted(points: &[Point]) -> Vec<u32> {
    let mut order: Vec<([u64; 2], u32)> = points
        .iter()
        .zip(0..)
        .map(|(&point, index)| (point.map(sortable), index))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, index)| index).collect()
}

/// Bits that sort as the finite number does; the two zeros are one.
fn sortable(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 0 {
        bits | 1 << 63
    } else {
        !bits
    }
}

/// Points, each once, in order of first occurrence.
#[derive(Default)]
struct Distinct {
    points: Vec<Point>,
    indices: HashMap<[u64; 2], u32>,
}

impl Distinct {
    fn new(points: &[Point]) -> Self {
        let mut collected = Self::default();
        points.iter().for_each(|&point| {
            collected.index(point);
        });
        collected
    }

    fn index(&mut self, point: Point) -> u32 {
        let point = point.map(|value| value + 0.0);
        *self
            .indices
            .entry(point.map(f64::to_bits))
            .or_insert_with(|| {
                self.points.push(point);
                self.points.len() as u32 - 1
            })
    }
}
