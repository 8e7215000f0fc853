//! The triangles that the constrained edges enclose.

use super::subdivision::{Subdivision, twin};

/// Collects every triangle that cannot be reached from the outer face without crossing a
/// constrained edge. `outer` is a half-edge with the outer face on its left.
pub(super) fn enclosed_triangles(subdivision: &Subdivision, outer: u32) -> Vec<[u32; 3]> {
    let mut visited = mark_outside(subdivision, outer);
    let mut triangles = Vec::new();
    for edge in subdivision.half_edges() {
        if visited[edge as usize] {
            continue;
        }
        let face = face(subdivision, edge);
        face.iter().for_each(|&edge| visited[edge as usize] = true);
        triangles.push(face.map(|edge| subdivision.origin(edge)));
    }
    triangles
}

/// Marks the half-edges whose left face is outside.
fn mark_outside(subdivision: &Subdivision, outer: u32) -> Vec<bool> {
    let mut outside = vec![false; subdivision.id_bound()];
    let mut edge = outer;
    let mut frontier = Vec::new();
    loop {
        outside[edge as usize] = true;
        frontier.push(edge);
        edge = subdivision.next_around_left(edge);
        if edge == outer {
            break;
        }
    }
    while let Some(edge) = frontier.pop() {
        let across = twin(edge);
        if subdivision.is_constrained(edge) || outside[across as usize] {
            continue;
        }
        for edge in face(subdivision, across) {
            outside[edge as usize] = true;
            frontier.push(edge);
        }
    }
    outside
}

/// The three half-edges of the triangle to the left.
fn face(subdivision: &Subdivision, edge: u32) -> [u32; 3] {
    let second = subdivision.next_around_left(edge);
    [edge, second, subdivision.next_around_left(second)]
}
