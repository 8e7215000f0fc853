//! Moving one edge of an outline at a time, between the lines of its neighbours.
//!
//! The best place of an edge supports the hull of the border that belongs to it: flush with an
//! edge of the hull, or through a vertex of it that halves what the neighbours cut off the line,
//! or from where a neighbour meets the image's edge.

use super::ground::Ground;
use super::plane::{Line, PIXEL, Point, cross, doubled_area, edge_is_free};
use super::ring::{Ring, Vertex};
use super::watch::Watch;
use crate::progress::Stopped;

/// Twice the area (in steps) that a move has to win.
const LEAST_GAIN: i64 = 2 * PIXEL * PIXEL / 32;

/// Places that are tried for an edge.
const TRIES: usize = 6;

struct Place {
    gain: i64,
    points: [Point; 2],
    contact: u32,
}

/// Slides edges until none gains, at most `sweeps` times round.
pub(crate) fn slide_all(
    ring: &mut Ring,
    ground: &Ground,
    sweeps: usize,
    watch: &mut Watch<'_>,
) -> Result<(), Stopped> {
    let count = ring.len();
    let mut is_due = vec![true; count];
    for _ in 0..sweeps {
        let mut has_moved = false;
        for edge in 0..count {
            watch.proceed()?;
            if std::mem::take(&mut is_due[edge]) && slide(ring, ground, edge) {
                has_moved = true;
                for near in [count - 2, count - 1, 1, 2] {
                    is_due[(edge + near) % count] = true;
                }
            }
        }
        if !has_moved {
            break;
        }
    }
    Ok(())
}

/// Moves the edge that begins at `edge` to its best place.
fn slide(ring: &mut Ring, ground: &Ground, edge: usize) -> bool {
    let count = ring.len();
    if count < 4 {
        return false;
    }
    let before = ring.contact(edge + count - 1, ground);
    let after = ring.contact(edge + 1, ground);
    let mut places = places(ring, ground, edge, before, after);
    places.sort_unstable_by_key(|place| (-place.gain, place.points));
    places.dedup_by_key(|place| place.points);
    for place in places.iter().take(TRIES) {
        if take(ring, ground, edge, place) {
            anchor(ring, ground, edge, [before, place.contact, after]);
            return true;
        }
    }
    false
}

fn places(ring: &Ring, ground: &Ground, edge: usize, before: u32, after: u32) -> Vec<Place> {
    let count = ring.len();
    let [o, p, q, r] = [edge + count - 1, edge, edge + 1, edge + 2].map(|index| ring.at(index));
    let from = if ring.is_convex(edge % count) {
        before
    } else {
        p.anchor
    };
    let to = if ring.is_convex((edge + 1) % count) {
        after
    } else {
        q.anchor
    };
    let [o, p, q, r] = [o, p, q, r].map(|vertex| vertex.point);
    let (first, second) = (Line::through(o, p), Line::through(q, r));
    let hull = outer_hull(ground, from, to, q.minus(p));
    let old = o.times(p) + p.times(q) + q.times(r);
    let mut places = Vec::new();
    let mut offer = |points: [Option<Point>; 2], contact: u32| {
        let [Some(p), Some(q)] = points else {
            return;
        };
        let keeps_its_way = p.minus(o).dot(first.along) > 0 && r.minus(q).dot(second.along) > 0;
        let gain = old - (o.times(p) + p.times(q) + q.times(r));
        if keeps_its_way && gain >= LEAST_GAIN && ground.has(p) && ground.has(q) {
            places.push(Place {
                gain,
                points: [p, q],
                contact,
            });
        }
    };
    let ends_before: Vec<Point> = at_image_edge(ground, first, p).collect();
    let ends_after: Vec<Point> = at_image_edge(ground, second, q).collect();
    for (index, &corner) in hull.iter().enumerate() {
        let at = ground.corner(corner);
        if let Some(&next) = hull.get(index + 1) {
            let line = Line::through(at, ground.corner(next));
            offer([first.meet(line), line.meet(second)], corner);
        }
        let is_support = |line: Line| {
            let is_inside = |index: usize| {
                hull.get(index)
                    .is_none_or(|&other| line.depth(ground.corner(other)) >= 0)
            };
            line.along.dot(q.minus(p)) > 0
                && is_inside(index.wrapping_sub(1))
                && is_inside(index + 1)
        };
        if let Some(line) = halving(first, second, at).filter(|&line| is_support(line)) {
            offer([first.meet(line), line.meet(second)], corner);
        }
        for &end in &ends_before {
            let line = Line::through(end, at);
            if is_support(line) {
                offer([Some(end), line.meet(second)], corner);
            }
        }
        for &end in &ends_after {
            let line = Line::through(at, end);
            if is_support(line) {
                offer([first.meet(line), Some(end)], corner);
            }
        }
    }
    places
}

/// The hull of a part of the border on the outer side, in the direction `along`.
pub(crate) fn outer_hull(ground: &Ground, from: u32, to: u32, along: Point) -> Vec<u32> {
    let count = ground.corners.len() as u32;
    let is_outward = |&corner: &u32| {
        let [a, b, c] = [corner + count - 1, corner, corner + 1]
            .map(|index| ground.corner(if index < count { index } else { index - count }));
        corner == from || corner == to || cross(a, b, c) > 0
    };
    let place = |corner: u32| {
        let point = ground.corner(corner);
        (along.dot(point), along.times(point), corner)
    };
    let mut places: Vec<_> = ground
        .chain(from, to)
        .filter(is_outward)
        .map(place)
        .collect();
    places.sort_unstable();
    // Of equal ones along the edge the outermost comes first.
    places.dedup_by_key(|place| place.0);
    let mut hull: Vec<u32> = Vec::with_capacity(places.len());
    for (_, _, corner) in places {
        let point = ground.corner(corner);
        while let [.., a, b] = hull[..] {
            if cross(ground.corner(a), ground.corner(b), point) > 0 {
                break;
            }
            hull.pop();
        }
        hull.push(corner);
    }
    hull
}

/// The line through a point of which two others cut off pieces of equal length on its two sides.
pub(crate) fn halving(first: Line, second: Line, at: Point) -> Option<Line> {
    let mirrored = Line {
        from: at.plus(at).minus(second.from),
        along: second.along,
    };
    let (x, y) = first.crossing(mirrored)?;
    let end = Point::new(x.round() as i64, y.round() as i64);
    (end != at).then(|| Line::through(end, at))
}

/// Where a line meets the image's edges.
pub(crate) fn at_image_edge(
    ground: &Ground,
    line: Line,
    near: Point,
) -> impl Iterator<Item = Point> {
    let [width, height] = ground.size();
    let corners = [
        Point::new(0, 0),
        Point::new(width, 0),
        Point::new(width, height),
        Point::new(0, height),
    ];
    let has = move |point: &Point| {
        (0..=width).contains(&point.x) && (0..=height).contains(&point.y) && *point != near
    };
    (0..4)
        .filter_map(move |side| line.meet(Line::through(corners[side], corners[(side + 1) % 4])))
        .filter(has)
}

/// Moves the edge if the outline stays valid.
fn take(ring: &mut Ring, ground: &Ground, edge: usize, place: &Place) -> bool {
    let count = ring.len();
    let [o, p, q, r] =
        [edge + count - 1, edge, edge + 1, edge + 2].map(|index| ring.at(index).point);
    let [new_p, new_q] = place.points;
    let edges = [(o, new_p), (new_p, new_q), (new_q, r)];
    let is_as_before = |a: Point, b: Point| (a, b) == (o, p) || (a, b) == (q, r);
    if edges
        .iter()
        .any(|&(a, b)| a == b || !is_as_before(a, b) && ground.is_crossed_by(a, b))
    {
        return false;
    }
    let mut points = ring.points();
    points[edge % count] = new_p;
    points[(edge + 1) % count] = new_q;
    if doubled_area(&points) < ground.doubled_area {
        return false;
    }
    if ![edge + count - 1, edge, edge + 1]
        .iter()
        .all(|&index| edge_is_free(&points, index % count, 0))
    {
        return false;
    }
    ring.vertices[edge % count].point = new_p;
    ring.vertices[(edge + 1) % count].point = new_q;
    true
}

/// Chooses the anchors of an edge's ends, between the contacts of three edges.
fn anchor(ring: &mut Ring, ground: &Ground, edge: usize, contacts: [u32; 3]) {
    let count = ring.len();
    for (end, from, to) in [(0, contacts[0], contacts[1]), (1, contacts[1], contacts[2])] {
        let index = (edge + end) % count;
        ring.vertices[index].anchor = anchor_at(ring, ground, index, from, to);
    }
}

/// The corner of the border, within a part of it, that lies deepest in the angle at a vertex.
fn anchor_at(ring: &Ring, ground: &Ground, index: usize, from: u32, to: u32) -> u32 {
    let count = ring.len();
    let [a, b, c] = [index + count - 1, index, index + 1].map(|index| ring.at(index).point);
    let [(ux, uy), (vx, vy)] = [b.minus(a), c.minus(b)].map(unit);
    let sign = if cross(a, b, c) > 0 { 1.0 } else { -1.0 };
    let outward = (sign * (uy + vy), -sign * (ux + vx));
    let reach = |corner: u32| {
        let point = ground.corner(corner);
        point.x as f64 * outward.0 + point.y as f64 * outward.1
    };
    let mut best = (f64::NEG_INFINITY, from);
    for corner in ground.chain(from, to) {
        let reach = reach(corner);
        if reach > best.0 {
            best = (reach, corner);
        }
    }
    best.1
}

fn unit(vector: Point) -> (f64, f64) {
    let length = ((vector.x * vector.x + vector.y * vector.y) as f64).sqrt();
    (vector.x as f64 / length, vector.y as f64 / length)
}

/// A vertex with the anchor that it would get between two corners of the border.
pub(crate) fn vertex_between(point: Point, from: u32, to: u32, ground: &Ground) -> Vertex {
    let near = |&corner: &u32| {
        let away = ground.corner(corner).minus(point);
        away.dot(away)
    };
    let anchor = ground.chain(from, to).min_by_key(near).unwrap_or(from);
    Vertex { point, anchor }
}
