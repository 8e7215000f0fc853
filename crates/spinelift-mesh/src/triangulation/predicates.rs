//! Orientation and in-circle tests whose signs are exact.

pub(super) type Point = [f64; 2];

/// The two questions on which every decision of the triangulation rests.
pub(super) trait Predicates: Copy {
    /// Positive when `c` lies to the left of the line from `a` to `b` (in a plane with y up),
    /// zero when on it.
    fn orientation(self, a: Point, b: Point, c: Point) -> f64;

    /// Positive when `d` lies inside the circle through the counter-clockwise `a`, `b`, `c`,
    /// zero when on it.
    fn in_circle(self, a: Point, b: Point, c: Point, d: Point) -> f64;
}

/// Whole-numbered points within [`OnGrid::MAX_EXTENT`] of one another: every intermediate result
/// is a whole number below 2⁵³, so that plain arithmetic is exact.
#[derive(Debug, Clone, Copy)]
pub(super) struct OnGrid;

impl OnGrid {
    /// With differences up to `d`, the in-circle determinant is at most `12 · d⁴ < 2⁵³`.
    const MAX_EXTENT: f64 = 5000.0;

    pub(super) fn fits(points: &[Point]) -> bool {
        let whole = |value: f64| value.fract() == 0.0;
        let (mut least, mut largest) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for point in points {
            for axis in 0..2 {
                least[axis] = least[axis].min(point[axis]);
                largest[axis] = largest[axis].max(point[axis]);
            }
        }
        (0..2).all(|axis| largest[axis] - least[axis] <= Self::MAX_EXTENT)
            && points
                .iter()
                .all(|point| whole(point[0]) && whole(point[1]))
    }
}

impl Predicates for OnGrid {
    fn orientation(self, a: Point, b: Point, c: Point) -> f64 {
        cross(a, b, c)
    }

    fn in_circle(self, a: Point, b: Point, c: Point, d: Point) -> f64 {
        in_circle_determinant(a, b, c, d).0
    }
}

/// Any finite points: plain arithmetic where its error bound allows, else Shewchuk's adaptive
/// expansions ("Adaptive precision floating-point arithmetic and fast robust geometric
/// predicates", 1997).
#[derive(Debug, Clone, Copy)]
pub(super) struct Adaptive;

impl Predicates for Adaptive {
    #[inline]
    fn orientation(self, a: Point, b: Point, c: Point) -> f64 {
        /// Shewchuk's static bound: (3 + 16 ε) ε with ε = 2⁻⁵³.
        const ERROR_BOUND: f64 = 3.330_669_073_875_471_6e-16;
        let left = (b[0] - a[0]) * (c[1] - a[1]);
        let right = (b[1] - a[1]) * (c[0] - a[0]);
        let determinant = left - right;
        if determinant.abs() > ERROR_BOUND * (left.abs() + right.abs()) {
            return determinant;
        }
        let coord = |point: Point| robust::Coord {
            x: point[0],
            y: point[1],
        };
        robust::orient2d(coord(a), coord(b), coord(c))
    }

    #[inline]
    fn in_circle(self, a: Point, b: Point, c: Point, d: Point) -> f64 {
        /// Shewchuk's static bound: (10 + 96 ε) ε with ε = 2⁻⁵³.
        const ERROR_BOUND: f64 = 1.110_223_024_625_157_8e-15;
        let (determinant, permanent) = in_circle_determinant(a, b, c, d);
        if determinant.abs() > ERROR_BOUND * permanent {
            return determinant;
        }
        let coord = |point: Point| robust::Coord {
            x: point[0],
            y: point[1],
        };
        robust::incircle(coord(a), coord(b), coord(c), coord(d))
    }
}

/// Twice the signed area of a triangle, in plain arithmetic.
#[inline]
pub(super) fn cross(a: Point, b: Point, c: Point) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

/// The determinant, and the same with absolute values, which bounds its rounding error.
#[inline]
fn in_circle_determinant(a: Point, b: Point, c: Point, d: Point) -> (f64, f64) {
    let [adx, ady] = [a[0] - d[0], a[1] - d[1]];
    let [bdx, bdy] = [b[0] - d[0], b[1] - d[1]];
    let [cdx, cdy] = [c[0] - d[0], c[1] - d[1]];
    let (bc, cb) = (bdx * cdy, cdx * bdy);
    let (ca, ac) = (cdx * ady, adx * cdy);
    let (ab, ba) = (adx * bdy, bdx * ady);
    let a_lift = adx * adx + ady * ady;
    let b_lift = bdx * bdx + bdy * bdy;
    let c_lift = cdx * cdx + cdy * cdy;
    let determinant = a_lift * (bc - cb) + b_lift * (ca - ac) + c_lift * (ab - ba);
    let permanent = (bc.abs() + cb.abs()) * a_lift
        + (ca.abs() + ac.abs()) * b_lift
        + (ab.abs() + ba.abs()) * c_lift;
    (determinant, permanent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_agree_on_the_grid() {
        let mut state = 7u64;
        let mut random = |range: u64| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            ((state >> 33) % range) as f64
        };
        let mut cocircular = 0;
        for _ in 0..20_000 {
            let range = if random(2) == 0.0 { 6 } else { 5001 };
            let mut point = || [random(range), random(range)];
            let (a, b, c, d) = (point(), point(), point(), point());
            let sign = |value: f64| if value == 0.0 { 0.0 } else { value.signum() };
            assert_eq!(
                sign(OnGrid.orientation(a, b, c)),
                sign(Adaptive.orientation(a, b, c))
            );
            let on_grid = sign(OnGrid.in_circle(a, b, c, d));
            assert_eq!(on_grid, sign(Adaptive.in_circle(a, b, c, d)));
            cocircular += usize::from(on_grid == 0.0);
        }
        assert!(cocircular > 100, "ties are covered");
    }

    #[test]
    fn the_grid_is_whole_numbers_of_limited_extent() {
        assert!(OnGrid::fits(&[[0.0, 0.0], [5000.0, -5.0]]));
        assert!(!OnGrid::fits(&[[0.0, 0.0], [5001.0, 0.0]]));
        assert!(!OnGrid::fits(&[[0.0, 0.5], [1.0, 0.0]]));
    }
}
