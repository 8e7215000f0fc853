//! Plain triangles: their neighbours, and the rings around them.

use super::predicates::Point;
use super::subdivision::NONE;

#[derive(Debug)]
pub(super) struct Triangles {
    pub(super) points: Vec<Point>,
    pub(super) triangles: Vec<[u32; 3]>,
}

impl Triangles {
    pub(super) fn without_unused_points(self) -> Self {
        let mut renumbered = vec![NONE; self.points.len()];
        self.triangles
            .iter()
            .flatten()
            .for_each(|&corner| renumbered[corner as usize] = 0);
        let mut points = Vec::with_capacity(self.points.len());
        for (number, &point) in renumbered.iter_mut().zip(&self.points) {
            if *number != NONE {
                *number = points.len() as u32;
                points.push(point);
            }
        }
        let renumber = |triangle: &[u32; 3]| triangle.map(|corner| renumbered[corner as usize]);
        Triangles {
            triangles: self.triangles.iter().map(renumber).collect(),
            points,
        }
    }

    /// The boundary's rings, each from its least vertex; against the triangles' own sense of
    /// rotation if `reversed`.
    pub(super) fn rings(&self, reversed: bool) -> Vec<Vec<u32>> {
        rings(
            &self.triangles,
            &twins(&self.triangles, self.points.len()),
            reversed,
        )
    }
}

/// For each side of each triangle (side `i` leaves corner `i`) the side `3 · triangle + i` of the
/// triangle behind it, [`NONE`] on the boundary.
pub(super) fn twins(triangles: &[[u32; 3]], point_count: usize) -> Vec<[u32; 3]> {
    // Sides by the corner they leave, as linked lists.
    let mut first = vec![NONE; point_count];
    let mut following = vec![NONE; 3 * triangles.len()];
    for (side, &corner) in triangles.iter().flatten().enumerate() {
        following[side] = first[corner as usize];
        first[corner as usize] = side as u32;
    }
    let find = |from: u32, to: u32| {
        let mut side = first[from as usize];
        while side != NONE && end(triangles, side) != to {
            side = following[side as usize];
        }
        side
    };
    triangles
        .iter()
        .map(|&[a, b, c]| [find(b, a), find(c, b), find(a, c)])
        .collect()
}

pub(super) fn rings(triangles: &[[u32; 3]], twins: &[[u32; 3]], reversed: bool) -> Vec<Vec<u32>> {
    let twin = |side: u32| twins[(side / 3) as usize][(side % 3) as usize];
    let mut boundary: Vec<u32> = (0..3 * triangles.len() as u32)
        .filter(|&side| twin(side) == NONE)
        .collect();
    boundary.sort_unstable_by_key(|&side| (start(triangles, side), side));
    let mut visited = vec![false; 3 * triangles.len()];
    let mut rings = Vec::new();
    for side in boundary {
        let mut ring = Vec::new();
        let mut side = side;
        while !visited[side as usize] {
            visited[side as usize] = true;
            ring.push(start(triangles, side));
            // Turn around the end until the next side on the boundary.
            side = next_side(side);
            while twin(side) != NONE {
                side = next_side(twin(side));
            }
        }
        if !ring.is_empty() {
            if reversed {
                ring[1..].reverse();
            }
            rings.push(ring);
        }
    }
    rings
}

fn start(triangles: &[[u32; 3]], side: u32) -> u32 {
    triangles[(side / 3) as usize][(side % 3) as usize]
}

fn end(triangles: &[[u32; 3]], side: u32) -> u32 {
    start(triangles, next_side(side))
}

pub(super) fn next_side(side: u32) -> u32 {
    if side % 3 == 2 { side - 2 } else { side + 1 }
}

pub(super) fn previous_side(side: u32) -> u32 {
    if side.is_multiple_of(3) {
        side + 2
    } else {
        side - 1
    }
}
