//! Angles that are the same on every machine: arithmetic and square roots alone.

/// The smallest angle of a triangle, in degrees.
pub(crate) fn smallest_angle([a, b, c]: [[f64; 2]; 3]) -> f64 {
    let at = |p: [f64; 2], q: [f64; 2], r: [f64; 2]| {
        let (ux, uy) = (q[0] - p[0], q[1] - p[1]);
        let (vx, vy) = (r[0] - p[0], r[1] - p[1]);
        degrees((ux * vy - uy * vx).abs(), ux * vx + uy * vy)
    };
    at(a, b, c).min(at(b, c, a)).min(at(c, a, b))
}

/// The angle whose tangent is `y / x`, in degrees from 0 to 180; `y` is not negative.
pub(crate) fn degrees(y: f64, x: f64) -> f64 {
    let degrees = |radians: f64| radians * (180.0 / std::f64::consts::PI);
    if y == 0.0 && x == 0.0 {
        0.0
    } else if y <= x.abs() {
        let angle = degrees(arc_tangent(y / x.abs()));
        if x < 0.0 { 180.0 - angle } else { angle }
    } else {
        90.0 - degrees(arc_tangent(x / y))
    }
}

/// For -1 to 1: the angle is halved three times, then the series of a small one.
fn arc_tangent(tangent: f64) -> f64 {
    let halved = |t: f64| t / (1.0 + (1.0 + t * t).sqrt());
    let t = halved(halved(halved(tangent)));
    let square = t * t;
    let mut sum = 0.0;
    for term in (0..12).rev() {
        sum = 1.0 / f64::from(2 * term + 1) - square * sum;
    }
    8.0 * t * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_are_those_of_the_platform_but_for_the_last_bits() {
        for step in 0..=3600 {
            let angle = f64::from(step) / 3600.0 * std::f64::consts::PI;
            let (y, x) = (angle.sin().abs(), angle.cos());
            let expected = y.atan2(x).to_degrees();
            assert!((degrees(y, x) - expected).abs() < 1e-12, "{expected}");
        }
    }
}
