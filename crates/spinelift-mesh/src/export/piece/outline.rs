//! The ring around a piece.

use crate::shape::Shape;
use std::collections::BTreeMap;

/// The ring of border edges that encloses the largest area, counter-clockwise on screen from its
/// smallest vertex.
///
/// The edges run clockwise around what they enclose. A vertex is one fan, so it has one edge that
/// ends there at the most, and rings have no vertex in common.
pub(super) fn outline(shape: &Shape, sources: &[u32], border: &[(u32, u32)]) -> Vec<u32> {
    let mut before: BTreeMap<u32, u32> = border.iter().map(|&(from, to)| (to, from)).collect();
    let at = |vertex: u32| shape.vertices()[sources[vertex as usize] as usize];
    let mut largest = (f64::NEG_INFINITY, Vec::new());
    while let Some((&first, _)) = before.first_key_value() {
        let mut ring = vec![first];
        let mut vertex = first;
        while let Some(previous) = before.remove(&vertex) {
            if previous == first {
                break;
            }
            ring.push(previous);
            vertex = previous;
        }
        let area: f64 = ring
            .windows(2)
            .map(|pair| doubled_area([at(first), at(pair[0]), at(pair[1])]))
            .sum();
        if -area > largest.0 {
            largest = (-area, ring);
        }
    }
    largest.1
}

fn doubled_area([a, b, c]: [[f64; 2]; 3]) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}
