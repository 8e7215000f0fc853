//! Whole-numbered points: every predicate of the cover is exact in 64 bits.

/// Steps of the grid in a pixel.
pub(crate) const PIXEL: i64 = 256;

/// A point in steps of the grid, y down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Point {
    pub(crate) x: i64,
    pub(crate) y: i64,
}

impl Point {
    pub(crate) fn new(x: i64, y: i64) -> Self {
        Point { x, y }
    }

    pub(crate) fn minus(self, other: Point) -> Point {
        Point::new(self.x - other.x, self.y - other.y)
    }

    pub(crate) fn plus(self, other: Point) -> Point {
        Point::new(self.x + other.x, self.y + other.y)
    }

    pub(crate) fn times(self, other: Point) -> i64 {
        self.x * other.y - self.y * other.x
    }

    pub(crate) fn dot(self, other: Point) -> i64 {
        self.x * other.x + self.y * other.y
    }

    /// The grid point next to a place in pixels.
    pub(crate) fn at([x, y]: [f64; 2]) -> Self {
        let steps = |pixels: f64| (pixels * PIXEL as f64).round() as i64;
        Point::new(steps(x), steps(y))
    }

    /// In pixels; exact.
    pub(crate) fn pixels(self) -> [f64; 2] {
        [self.x as f64 / PIXEL as f64, self.y as f64 / PIXEL as f64]
    }
}

/// Twice the area of a triangle: positive where it runs clockwise on screen, which is the sense
/// of every outline here. The inside of an edge is where this is positive.
#[inline]
pub(crate) fn cross(a: Point, b: Point, c: Point) -> i64 {
    b.minus(a).times(c.minus(a))
}

/// Twice the area of a ring.
pub(crate) fn doubled_area(ring: &[Point]) -> i64 {
    let next = ring.iter().cycle().skip(1);
    ring.iter().zip(next).map(|(a, b)| a.times(*b)).sum()
}

/// Whether two closed segments have a point in common.
pub(crate) fn touch(a: Point, b: Point, c: Point, d: Point) -> bool {
    let apart = |p: i64, q: i64, r: i64, s: i64| p.max(q) < r.min(s) || r.max(s) < p.min(q);
    if apart(a.x, b.x, c.x, d.x) || apart(a.y, b.y, c.y, d.y) {
        return false;
    }
    let opposite = |p: i64, q: i64| p.signum() * q.signum() <= 0;
    opposite(cross(a, b, c), cross(a, b, d)) && opposite(cross(c, d, a), cross(c, d, b))
}

/// Whether an edge runs back along the one before it.
pub(crate) fn folds(a: Point, b: Point, c: Point) -> bool {
    cross(a, b, c) == 0 && b.minus(a).dot(c.minus(b)) <= 0
}

/// Whether a ring neither touches nor crosses itself.
pub(crate) fn is_simple(ring: &[Point]) -> bool {
    ring.len() >= 3 && (0..ring.len()).all(|index| edge_is_free(ring, index, index + 1))
}

/// Whether the edge that begins at `index` touches no edge from `first` on but where it is joined
/// to them.
pub(crate) fn edge_is_free(ring: &[Point], index: usize, first: usize) -> bool {
    let count = ring.len();
    let at = |index: usize| ring[index % count];
    let (a, b) = (at(index), at(index + 1));
    if a == b || folds(a, b, at(index + 2)) || folds(at(index + count - 1), a, b) {
        return false;
    }
    (first..count).all(|other| {
        let is_near =
            other == index || other == (index + 1) % count || (other + 1) % count == index;
        is_near || !touch(a, b, at(other), at(other + 1))
    })
}

/// A line through `from` in the direction `along`; its inside is to the right on screen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) from: Point,
    pub(crate) along: Point,
}

impl Line {
    pub(crate) fn through(a: Point, b: Point) -> Self {
        Line {
            from: a,
            along: b.minus(a),
        }
    }

    /// Negative outside.
    pub(crate) fn depth(self, point: Point) -> i64 {
        self.along.times(point.minus(self.from))
    }

    /// Where two lines meet, rounded to a grid point on neither's inside.
    pub(crate) fn meet(self, other: Line) -> Option<Point> {
        let (x, y) = self.crossing(other)?;
        round_outward(x, y, self, other)
    }

    /// Where two lines cross, unrounded.
    pub(crate) fn crossing(self, other: Line) -> Option<(f64, f64)> {
        let determinant = self.along.times(other.along);
        if determinant == 0 {
            return None;
        }
        let along = other.from.minus(self.from).times(other.along) as f64 / determinant as f64;
        let x = self.from.x as f64 + along * self.along.x as f64;
        let y = self.from.y as f64 + along * self.along.y as f64;
        let far = (1i64 << 24) as f64;
        (x.abs() < far && y.abs() < far).then_some((x, y))
    }
}

fn round_outward(x: f64, y: f64, first: Line, second: Line) -> Option<Point> {
    // Unlike `floor` this is no call on processors without an instruction for it.
    let floor = |value: f64| {
        let towards_zero = value as i64;
        towards_zero - i64::from(towards_zero as f64 > value)
    };
    let base = Point::new(floor(x), floor(y));
    let mut best: Option<(f64, Point)> = None;
    for reach in [0, 1, 3] {
        for dy in -reach..=1 + reach {
            for dx in -reach..=1 + reach {
                let point = Point::new(base.x + dx, base.y + dy);
                if first.depth(point) > 0 || second.depth(point) > 0 {
                    continue;
                }
                let (ex, ey) = (point.x as f64 - x, point.y as f64 - y);
                let distance = ex * ex + ey * ey;
                if best.is_none_or(|(least, _)| distance < least) {
                    best = Some((distance, point));
                }
            }
        }
        if best.is_some() {
            break;
        }
    }
    best.map(|(_, point)| point)
}
