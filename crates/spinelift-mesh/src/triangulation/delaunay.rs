//! Delaunay triangulation by divide and conquer (Guibas and Stolfi, 1985).

use super::predicates::{Point, Predicates};
use super::subdivision::{Subdivision, twin};
use crate::progress::{Observer, Stopped, proceed};

/// Halves of at least so many points ask the observer before they are joined.
const POINTS_PER_POLL: usize = 1 << 11;

/// A Delaunay triangulation of distinct points.
pub(super) struct Delaunay {
    pub(super) subdivision: Subdivision,
    /// A half-edge with the outer face on its left.
    pub(super) outer: u32,
}

impl Delaunay {
    /// Constrains the convex hull.
    pub(super) fn constrain_hull(&mut self) {
        let mut edge = self.outer;
        loop {
            self.subdivision.constrain(edge);
            edge = self.subdivision.next_around_left(edge);
            if edge == self.outer {
                break;
            }
        }
    }
}

/// Triangulates the points whose indices are given, sorted by x, then y, without repetitions;
/// at least two.
pub(super) fn triangulate<P: Predicates>(
    points: &[Point],
    sorted: &[u32],
    predicates: P,
    observer: &mut dyn Observer,
) -> Result<Delaunay, Stopped> {
    let mut builder = Builder {
        points,
        predicates,
        subdivision: Subdivision::with_capacity(3 * sorted.len()),
    };
    let (left, _) = builder.build(sorted, observer)?;
    Ok(Delaunay {
        subdivision: builder.subdivision,
        outer: twin(left),
    })
}

struct Builder<'a, P> {
    points: &'a [Point],
    predicates: P,
    subdivision: Subdivision,
}

impl<P: Predicates> Builder<'_, P> {
    /// Returns the hull's half-edge that leaves the leftmost point counter-clockwise, and the one
    /// that leaves the rightmost point clockwise.
    fn build(
        &mut self,
        sorted: &[u32],
        observer: &mut dyn Observer,
    ) -> Result<(u32, u32), Stopped> {
        if sorted.len() >= POINTS_PER_POLL {
            proceed(observer.poll())?;
        }
        match *sorted {
            [a, b] => {
                let edge = self.subdivision.add(a, b);
                Ok((edge, twin(edge)))
            }
            [a, b, c] => Ok(self.build_three(a, b, c)),
            _ => {
                let (left, right) = sorted.split_at(sorted.len() / 2);
                let left = self.build(left, observer)?;
                let right = self.build(right, observer)?;
                Ok(self.merge(left, right))
            }
        }
    }

    fn build_three(&mut self, a: u32, b: u32, c: u32) -> (u32, u32) {
        let ab = self.subdivision.add(a, b);
        let bc = self.subdivision.add(b, c);
        self.subdivision.splice(twin(ab), bc);
        let turn = self.orientation(a, b, c);
        if turn == 0.0 {
            return (ab, twin(bc));
        }
        let ca = self.subdivision.connect(bc, ab);
        if turn > 0.0 {
            (ab, twin(bc))
        } else {
            (twin(ca), ca)
        }
    }

    fn merge(&mut self, left: (u32, u32), right: (u32, u32)) -> (u32, u32) {
        let (mut left_outer, left_inner) = left;
        let (right_inner, mut right_outer) = right;
        let (left_inner, right_inner) = self.lower_tangent(left_inner, right_inner);
        let base = self.subdivision.connect(twin(right_inner), left_inner);
        let s = &self.subdivision;
        if s.origin(left_inner) == s.origin(left_outer) {
            left_outer = twin(base);
        }
        if s.origin(right_inner) == s.origin(right_outer) {
            right_outer = base;
        }
        self.stitch(base);
        (left_outer, right_outer)
    }

    fn lower_tangent(&self, mut left: u32, mut right: u32) -> (u32, u32) {
        let s = &self.subdivision;
        loop {
            if self.orientation(s.origin(right), s.origin(left), s.destination(left)) > 0.0 {
                left = s.next_around_left(left);
            } else if self.orientation(s.origin(left), s.destination(right), s.origin(right)) > 0.0
            {
                right = s.previous_around_right(right);
            } else {
                return (left, right);
            }
        }
    }

    /// Joins the two halves from the lower tangent `base` (right to left) upwards.
    fn stitch(&mut self, mut base: u32) {
        loop {
            let left = self.left_candidate(base);
            let right = self.right_candidate(base);
            let s = &self.subdivision;
            base = match (left, right) {
                (None, None) => return,
                (Some(left), Some(right)) => {
                    let right_is_nearer = self.in_circle(
                        s.destination(left),
                        s.origin(left),
                        s.origin(right),
                        s.destination(right),
                    );
                    if right_is_nearer {
                        self.subdivision.connect(right, twin(base))
                    } else {
                        self.subdivision.connect(twin(base), twin(left))
                    }
                }
                (Some(left), None) => self.subdivision.connect(twin(base), twin(left)),
                (None, Some(right)) => self.subdivision.connect(right, twin(base)),
            };
        }
    }

    /// The next edge up on the left side, and on the right side; edges that turn out not to be
    /// Delaunay are removed.
    fn left_candidate(&mut self, base: u32) -> Option<u32> {
        let first = self.subdivision.next_around_origin(twin(base));
        self.candidate(base, first, Subdivision::next_around_origin)
    }

    fn right_candidate(&mut self, base: u32) -> Option<u32> {
        let first = self.subdivision.previous_around_origin(base);
        self.candidate(base, first, Subdivision::previous_around_origin)
    }

    fn candidate(
        &mut self,
        base: u32,
        first: u32,
        after: impl Fn(&Subdivision, u32) -> u32,
    ) -> Option<u32> {
        let mut candidate = first;
        if !self.is_above(candidate, base) {
            return None;
        }
        loop {
            let next = after(&self.subdivision, candidate);
            if !self.hides(base, candidate, next) {
                return Some(candidate);
            }
            self.subdivision.remove(candidate);
            candidate = next;
        }
    }

    /// Whether the end of `next` lies in the circle through the base and the end of `candidate`.
    fn hides(&self, base: u32, candidate: u32, next: u32) -> bool {
        let s = &self.subdivision;
        self.in_circle(
            s.destination(base),
            s.origin(base),
            s.destination(candidate),
            s.destination(next),
        )
    }

    fn is_above(&self, edge: u32, base: u32) -> bool {
        let s = &self.subdivision;
        self.orientation(s.destination(edge), s.destination(base), s.origin(base)) > 0.0
    }

    fn orientation(&self, a: u32, b: u32, c: u32) -> f64 {
        let at = |index: u32| self.points[index as usize];
        self.predicates.orientation(at(a), at(b), at(c))
    }

    fn in_circle(&self, a: u32, b: u32, c: u32, d: u32) -> bool {
        let at = |index: u32| self.points[index as usize];
        self.predicates.in_circle(at(a), at(b), at(c), at(d)) > 0.0
    }
}
