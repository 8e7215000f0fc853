//! Points that widen small angles: Delaunay refinement (Ruppert, "A Delaunay refinement algorithm
//! for quality 2-dimensional mesh generation", 1995).

use super::polygon::{Polygon, squared_distance};
use super::split::outward;
use super::{Interior, LEAST_DISTANCE, MIN_DISTANCE, Net};
use crate::cover::{PIXEL, Point};
use crate::progress::{Observer, Stopped, proceed};
use crate::quality::degrees;
use std::collections::HashSet;

/// Points that are put in for each one that was there, at the most, and beside that.
const GROWTH: usize = 4;
const GROWTH_BESIDE: usize = 64;

/// Pieces of the outline are not halved below this part of the spacing.
const LEAST_PIECE: f64 = 0.2;

/// The smallest angle of a net, and the triangle to repair next.
type Worst = (f64, Option<[Point; 3]>);

impl Interior<'_> {
    /// Puts in points until no angle is below a bound, but for those of the outline itself, or
    /// nothing more can be done. Returns the smallest of the other angles.
    pub(super) fn widen_angles(
        &self,
        net: &mut Net,
        bound: f64,
        spacing: f64,
        budget: usize,
        observer: &mut dyn Observer,
    ) -> Result<f64, Stopped> {
        let most = budget.min(GROWTH * net.len() + GROWTH_BESIDE);
        let mut hopeless: HashSet<[[i64; 2]; 3]> = HashSet::new();
        let mut best = (-1.0, net.clone());
        loop {
            proceed(observer.poll())?;
            let Some((smallest, worst)) = self.worst(net, bound, &hopeless, observer)? else {
                break;
            };
            if smallest > best.0 {
                best = (smallest, net.clone());
            }
            let Some(corners) = worst else {
                break;
            };
            if net.len() + 2 > most || observer.is_time_up() {
                break;
            }
            if !self.repair(net, corners, spacing) {
                hopeless.insert(corners.map(|point| [point.x, point.y]));
            }
        }
        *net = best.1;
        Ok(best.0)
    }

    /// The smallest angle that is not the outline's, and the triangle that has it where it is
    /// below the bound and not hopeless.
    fn worst(
        &self,
        net: &Net,
        bound: f64,
        hopeless: &HashSet<[[i64; 2]; 3]>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Worst>, Stopped> {
        let Some(triangulation) = net.triangulation(observer)? else {
            return Ok(None);
        };
        let hull = net.ring.len() as u32;
        let at = |index: u32| match index.checked_sub(hull) {
            None => net.ring[index as usize],
            Some(index) => net.points[index as usize],
        };
        let is_hull_edge =
            |a: u32, b: u32| a < hull && b < hull && ((a + 1) % hull == b || (b + 1) % hull == a);
        let mut smallest = 180.0f64;
        let mut worst: Option<(f64, [Point; 3])> = None;
        for &[a, b, c] in &triangulation.triangles {
            let corners = [a, b, c].map(at);
            for (p, q, r) in [(a, b, c), (b, c, a), (c, a, b)] {
                if is_hull_edge(p, q) && is_hull_edge(p, r) {
                    continue;
                }
                let angle = angle_at(at(p), at(q), at(r));
                smallest = smallest.min(angle);
                let is_worse = worst.is_none_or(|(known, _)| angle < known);
                if angle < bound
                    && is_worse
                    && !hopeless.contains(&corners.map(|point| [point.x, point.y]))
                {
                    worst = Some((angle, corners));
                }
            }
        }
        Ok(Some((smallest, worst.map(|(_, corners)| corners))))
    }

    /// Puts a point into the middle of the circle around a triangle, or halves the edge of the
    /// outline that it would come too near to.
    fn repair(&self, net: &mut Net, corners: [Point; 3], spacing: f64) -> bool {
        let Some(centre) = circumcentre(corners) else {
            return false;
        };
        let count = net.ring.len();
        let encroached = (0..count).find(|&index| {
            let (a, b) = (net.ring[index], net.ring[(index + 1) % count]);
            a.minus(centre).dot(b.minus(centre)) < 0
        });
        let least_distance =
            MIN_DISTANCE.max(LEAST_PIECE * LEAST_DISTANCE * spacing.min(PIXEL as f64 * 32.0));
        if let Some(index) = encroached {
            return self.halve(net, index, least_distance);
        }
        let polygon = Polygon::new(&net.ring);
        if polygon.contains_at(centre, least_distance) {
            let is_free = net
                .points
                .iter()
                .all(|point| far(*point, centre, least_distance));
            if is_free {
                net.points.push(centre);
                self.put_mirrored(net, centre);
                return true;
            }
            return false;
        }
        let nearest = (0..count).min_by(|&i, &j| {
            let away = |index: usize| {
                squared_distance(centre, net.ring[index], net.ring[(index + 1) % count])
            };
            away(i).total_cmp(&away(j))
        });
        nearest.is_some_and(|index| self.halve(net, index, least_distance))
    }

    fn halve(&self, net: &mut Net, index: usize, least: f64) -> bool {
        let count = net.ring.len();
        let (a, b) = (net.ring[index], net.ring[(index + 1) % count]);
        if !far(a, b, 2.0 * least) {
            return false;
        }
        let mut ring = net.ring.clone();
        let middle = outward(a, b, 0.5);
        ring.insert(index + 1, middle);
        if let Some(axis) = self.axis {
            let mirrored = Point::new(axis - middle.x, middle.y);
            let [a, b] = [a, b].map(|point| Point::new(axis - point.x, point.y));
            let count = ring.len();
            let other = (0..count).find(|&at| ring[at] == b && ring[(at + 1) % count] == a);
            if let Some(other) = other {
                ring.insert(other + 1, mirrored);
            }
        }
        let is_admitted = (self.admits)(&ring);
        if is_admitted {
            // A point that would be too near to the new vertex gives way.
            net.points.retain(|&point| far(point, middle, least));
            net.ring = ring;
        }
        is_admitted
    }

    fn put_mirrored(&self, net: &mut Net, point: Point) {
        if let Some(axis) = self.axis
            && 2 * point.x != axis
        {
            net.points.push(Point::new(axis - point.x, point.y));
        }
    }
}

fn far(a: Point, b: Point, distance: f64) -> bool {
    let away = b.minus(a);
    away.dot(away) as f64 >= distance * distance
}

fn angle_at(p: Point, q: Point, r: Point) -> f64 {
    let (u, v) = (q.minus(p), r.minus(p));
    degrees(u.times(v).abs() as f64, u.dot(v) as f64)
}

fn circumcentre([a, b, c]: [Point; 3]) -> Option<Point> {
    let (u, v) = (b.minus(a), c.minus(a));
    let determinant = 2.0 * u.times(v) as f64;
    if determinant == 0.0 {
        return None;
    }
    let (uu, vv) = (u.dot(u) as f64, v.dot(v) as f64);
    let x = (v.y as f64 * uu - u.y as f64 * vv) / determinant;
    let y = (u.x as f64 * vv - v.x as f64 * uu) / determinant;
    let far = (1i64 << 24) as f64;
    (x.abs() < far && y.abs() < far)
        .then(|| Point::new(a.x + x.round() as i64, a.y + y.round() as i64))
}
