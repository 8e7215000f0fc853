//! Points and segments, and the splitting of segments where they cross.

use super::predicates::{Adaptive, Point, Predicates};
use std::cmp::Ordering;
use std::collections::HashMap;

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
        let is_repeated =
            |pair: &[u32]| compare(ring[pair[0] as usize], ring[pair[1] as usize]).is_eq();
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

    /// The same points and their convex hull.
    pub(super) fn without_segments(&self) -> Self {
        PlanarGraph {
            segments: None,
            ..self.clone()
        }
    }

    /// Splits every two segments that cross, at the intersection rounded to 1/1024 of a unit.
    /// Returns the number of crossings.
    pub(super) fn split_crossings(&mut self) -> usize {
        let segments = self.segments.take().unwrap_or_default();
        let mut collected = Distinct::new(&self.points);
        let mut cuts: Vec<Vec<u32>> = vec![Vec::new(); segments.len()];
        let mut crossings = 0;
        for (first, second) in self.near_pairs(&segments) {
            let [a, b] = segments[first].map(|end| self.points[end as usize]);
            let [c, d] = segments[second].map(|end| self.points[end as usize]);
            if let Some(point) = intersection(a, b, c, d) {
                let cut = collected.index(point);
                cuts[first].push(cut);
                cuts[second].push(cut);
                crossings += 1;
            }
        }
        self.points = collected.points;
        self.sorted = sorted(&self.points);
        self.segments = Some(
            segments
                .iter()
                .zip(cuts)
                .flat_map(|(&segment, cuts)| self.cut(segment, cuts))
                .collect(),
        );
        crossings
    }

    /// Pairs of segments whose bounding boxes overlap, by a sweep over x.
    fn near_pairs(&self, segments: &[[u32; 2]]) -> Vec<(usize, usize)> {
        let span = |segment: [u32; 2], axis: usize| {
            let [a, b] = segment.map(|end| self.points[end as usize][axis]);
            (a.min(b), a.max(b))
        };
        let mut order: Vec<usize> = (0..segments.len()).collect();
        order.sort_by(|&a, &b| span(segments[a], 0).0.total_cmp(&span(segments[b], 0).0));
        let mut pairs = Vec::new();
        for (rank, &first) in order.iter().enumerate() {
            let (x, y) = (span(segments[first], 0), span(segments[first], 1));
            for &second in &order[rank + 1..] {
                if span(segments[second], 0).0 > x.1 {
                    break;
                }
                let other = span(segments[second], 1);
                if other.0 <= y.1 && y.0 <= other.1 {
                    pairs.push((first.min(second), first.max(second)));
                }
            }
        }
        pairs.sort_unstable();
        pairs
    }

    /// The pieces of a segment between its cuts.
    fn cut(&self, [from, to]: [u32; 2], mut cuts: Vec<u32>) -> Vec<[u32; 2]> {
        let start = self.points[from as usize];
        let distance = |cut: u32| {
            let point = self.points[cut as usize];
            (point[0] - start[0]).hypot(point[1] - start[1])
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

/// Where two segments cross at a place inside both.
fn intersection(a: Point, b: Point, c: Point, d: Point) -> Option<Point> {
    let side = |p, q, r| Adaptive.orientation(p, q, r);
    let (of_c, of_d) = (side(a, b, c), side(a, b, d));
    let (of_a, of_b) = (side(c, d, a), side(c, d, b));
    let crosses = of_c * of_d < 0.0 && of_a * of_b < 0.0;
    crosses.then(|| {
        let share = of_a / (of_a - of_b);
        let round = |value: f64| (value * 1024.0).round() / 1024.0;
        [
            round(a[0] + share * (b[0] - a[0])),
            round(a[1] + share * (b[1] - a[1])),
        ]
    })
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

fn sorted(points: &[Point]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..points.len() as u32).collect();
    order
        .sort_unstable_by(|&a, &b| compare(points[a as usize], points[b as usize]).then(a.cmp(&b)));
    order
}

/// By x, then y; the two zeros are one.
fn compare(a: Point, b: Point) -> Ordering {
    let axis = |axis: usize| (a[axis] + 0.0).total_cmp(&(b[axis] + 0.0));
    axis(0).then_with(|| axis(1))
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
