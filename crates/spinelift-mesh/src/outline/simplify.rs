//! Simplification of a closed contour: Ramer–Douglas–Peucker between two far points, then a
//! pass that drops nearly collinear vertices.
//!
//! Same results as OpenCV's `approxPolyDP` from 4.13 on. Squared distances are compared as
//! products of integers, which are exact: no division, no root.

use crate::progress::{Observer, Stopped, proceed};

/// Points between two questions to the observer.
const POINTS_PER_POLL: usize = 1 << 16;

type Point = [i32; 2];

/// Simplifies a closed contour so that it stays within `tolerance` pixels of the result.
///
/// Returns a subset of the points, in order; one point alone if all are that near.
///
/// # Errors
/// [`Stopped`] when the observer said so.
pub fn simplify(
    points: &[Point],
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Vec<Point>, Stopped> {
    if points.is_empty() {
        return Ok(Vec::new());
    }
    let squared = tolerance * tolerance;
    let mut kept = douglas_peucker(points, squared, observer)?;
    drop_nearly_collinear(&mut kept, squared);
    Ok(kept)
}

fn douglas_peucker(
    points: &[Point],
    squared_tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Vec<Point>, Stopped> {
    let (b, c) = far_pair(points, observer)?;
    if squared_length(sub(points[c], points[b])) as f64 <= squared_tolerance {
        return Ok(vec![points[b]]);
    }
    let ring = Ring { points, first: b };
    let split = (c + points.len() - b) % points.len();

    let mut kept = Vec::new();
    let mut slices = vec![(split, points.len()), (0, split)];
    while let Some((start, end)) = slices.pop() {
        let segment = Segment::new(ring.at(start), ring.at(end));
        match segment.farthest(ring.between(start, end), observer)? {
            Some((offset, distance))
                if distance as f64 > squared_tolerance * segment.squared_length as f64 =>
            {
                let at = start + 1 + offset;
                slices.push((at, end));
                slices.push((start, at));
            }
            _ => kept.push(ring.at(start)),
        }
    }
    Ok(kept)
}

/// A closed contour, cut open at a point that stands at both ends.
struct Ring<'a> {
    points: &'a [Point],
    first: usize,
}

impl Ring<'_> {
    fn at(&self, place: usize) -> Point {
        self.points[(self.first + place) % self.points.len()]
    }

    /// The points between two places, both excluded, in two parts.
    fn between(&self, start: usize, end: usize) -> [&[Point]; 2] {
        let until_cut = self.points.len() - self.first;
        let (head, tail) = (&self.points[self.first..], &self.points[..self.first]);
        [
            &head[(start + 1).min(until_cut)..end.min(until_cut)],
            &tail[(start + 1).saturating_sub(until_cut)..end.saturating_sub(until_cut)],
        ]
    }
}

/// Two points far apart: from the first point three times to the first farthest one; the last
/// two of that walk.
fn far_pair(points: &[Point], observer: &mut dyn Observer) -> Result<(usize, usize), Stopped> {
    let (mut from, mut to) = (0, 0);
    for _ in 0..3 {
        proceed(observer.poll())?;
        from = to;
        let mut best = 0;
        let (before, after) = points.split_at(from);
        let rest = after.iter().chain(before).enumerate().skip(1);
        for (offset, &point) in rest {
            let distance = squared_length(sub(point, points[from]));
            if distance > best {
                best = distance;
                to = (from + offset) % points.len();
            }
        }
    }
    Ok((from, to))
}

/// A segment to which distances are measured.
struct Segment {
    start: Point,
    end: Point,
    squared_length: i64,
}

impl Segment {
    fn new(start: Point, end: Point) -> Self {
        Segment {
            start,
            end,
            squared_length: squared_length(sub(end, start)),
        }
    }

    /// The first of the points farthest from the segment, if any is off it, and its squared
    /// distance times the squared length of the segment.
    fn farthest(
        &self,
        parts: [&[Point]; 2],
        observer: &mut dyn Observer,
    ) -> Result<Option<(usize, i64)>, Stopped> {
        let (mut before, mut best, mut found) = (0, 0, None);
        for block in parts.iter().flat_map(|part| part.chunks(POINTS_PER_POLL)) {
            if before > 0 {
                proceed(observer.poll())?;
            }
            if let Some((index, distance)) = self.farthest_above(best, block) {
                best = distance;
                found = Some((before + index, distance));
            }
            before += block.len();
        }
        Ok(found)
    }

    fn farthest_above(&self, mut best: i64, points: &[Point]) -> Option<(usize, i64)> {
        let mut found = None;
        for (index, &point) in points.iter().enumerate() {
            let distance = self.scaled_distance(point);
            if distance > best {
                best = distance;
                found = Some((index, distance));
            }
        }
        found
    }

    fn scaled_distance(&self, point: Point) -> i64 {
        let direction = sub(self.end, self.start);
        let from_start = sub(point, self.start);
        let along = dot(from_start, direction);
        if along < 0 {
            squared_length(from_start) * self.squared_length
        } else if along > self.squared_length {
            squared_length(sub(point, self.end)) * self.squared_length
        } else {
            let cross = cross(from_start, direction);
            cross * cross
        }
    }
}

/// Drops vertices that lie almost on the line of their neighbours and between them. Runs around
/// the ring in place, so that the last vertices see the first ones as rewritten.
fn drop_nearly_collinear(ring: &mut Vec<Point>, squared_tolerance: f64) {
    let count = ring.len();
    let (mut left, mut write, mut visited) = (count, 0, 0);
    let mut previous = ring[count - 1];
    let mut current = ring[0];
    let mut read = 1;
    while visited < count && left > 2 {
        let following = ring[read % count];
        if is_nearly_collinear(previous, current, following, squared_tolerance) {
            ring[write] = following;
            previous = following;
            current = ring[(read + 1) % count];
            left -= 1;
            read += 2;
            visited += 2;
        } else {
            ring[write] = current;
            previous = current;
            current = following;
            read += 1;
            visited += 1;
        }
        write += 1;
    }
    ring.truncate(left);
}

fn is_nearly_collinear(
    previous: Point,
    current: Point,
    next: Point,
    squared_tolerance: f64,
) -> bool {
    let chord = sub(next, previous);
    let offset = cross(sub(current, previous), chord);
    (offset * offset) as f64 <= 0.5 * squared_tolerance * squared_length(chord) as f64
        && chord[0] != 0
        && chord[1] != 0
        && dot(sub(current, previous), sub(next, current)) >= 0
}

fn sub(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1]]
}

fn dot(a: Point, b: Point) -> i64 {
    i64::from(a[0]) * i64::from(b[0]) + i64::from(a[1]) * i64::from(b[1])
}

fn cross(a: Point, b: Point) -> i64 {
    i64::from(a[0]) * i64::from(b[1]) - i64::from(a[1]) * i64::from(b[0])
}

fn squared_length(a: Point) -> i64 {
    dot(a, a)
}
