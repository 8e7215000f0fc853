//! A shape as the formats of sprite tools want it: pieces that hang together, each with one
//! outline, whose vertices come first.

use crate::shape::Shape;
use std::collections::{BTreeMap, BTreeSet};

/// Triangles that hang together over edges. No two of their fans share a vertex, so that an outline
/// that touches itself in a point passes two vertices there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    /// The vertex of the shape that each vertex is, the outline's first.
    pub(super) sources: Vec<u32>,
    /// How many vertices the outline has: counter-clockwise on screen, from its vertex that
    /// comes first in the shape.
    pub(super) hull: usize,
    /// Clockwise on screen.
    pub(super) triangles: Vec<[u32; 3]>,
    /// Pairs of vertices, the smaller first: the outline, in order; then all other edges.
    pub(super) edges: Vec<[u32; 2]>,
}

impl Piece {
    /// In the order of the first triangle of each.
    pub(super) fn of(shape: &Shape) -> Vec<Piece> {
        let triangles = clockwise(shape);
        let (mut corners, mut members) =
            (Union::of(3 * triangles.len()), Union::of(triangles.len()));
        for sides in sides(&triangles).values() {
            // An edge of three triangles, or of two on the same side of it, hangs nothing together.
            if let &[(one, true), (other, false)] | &[(one, false), (other, true)] = &sides[..] {
                corners.join(one, next(other));
                corners.join(next(one), other);
                members.join(one / 3, other / 3);
            }
        }
        let mut pieces: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for triangle in 0..triangles.len() {
            pieces
                .entry(members.first(triangle))
                .or_default()
                .push(triangle);
        }
        pieces
            .values()
            .map(|members| Piece::from_triangles(shape, &triangles, members, &mut corners))
            .collect()
    }

    fn from_triangles(
        shape: &Shape,
        triangles: &[[u32; 3]],
        members: &[usize],
        corners: &mut Union,
    ) -> Piece {
        // A fan of corners is a vertex; they are in the order of the shape's vertices.
        let mut fans = BTreeMap::new();
        let mut found = Vec::with_capacity(members.len());
        for &triangle in members {
            found.push([0, 1, 2].map(|side| {
                let fan = (
                    triangles[triangle][side],
                    corners.first(3 * triangle + side),
                );
                fans.insert(fan, 0_u32);
                fan
            }));
        }
        for (index, number) in (0..).zip(fans.values_mut()) {
            *number = index;
        }
        let sources: Vec<u32> = fans.keys().map(|&(vertex, _)| vertex).collect();
        let numbered: Vec<[u32; 3]> = found
            .iter()
            .map(|corners| corners.map(|fan| fans[&fan]))
            .collect();
        let outline = outline(shape, &sources, &numbered);
        Piece::reordered(&sources, &numbered, &outline)
    }

    /// The outline's vertices first.
    fn reordered(sources: &[u32], triangles: &[[u32; 3]], outline: &[u32]) -> Piece {
        let mut places = vec![None; sources.len()];
        for (place, &vertex) in (0..).zip(outline) {
            places[vertex as usize] = Some(place);
        }
        let mut order = outline.to_vec();
        for vertex in 0..sources.len() as u32 {
            if places[vertex as usize].is_none() {
                places[vertex as usize] = Some(order.len() as u32);
                order.push(vertex);
            }
        }
        let placed = |vertex: u32| places[vertex as usize].unwrap_or_default();
        let triangles: Vec<_> = triangles
            .iter()
            .map(|corners| corners.map(placed))
            .collect();
        let hull = outline.len() as u32;
        let pair = |a: u32, b: u32| [a.min(b), a.max(b)];
        let mut edges: Vec<_> = (0..hull)
            .map(|vertex| pair(vertex, (vertex + 1) % hull))
            .collect();
        let is_outline = |[a, b]: [u32; 2]| b < hull && (b == a + 1 || (a == 0 && b == hull - 1));
        let mut others: Vec<_> = triangles
            .iter()
            .flat_map(|&[a, b, c]| [pair(a, b), pair(b, c), pair(c, a)])
            .filter(|&edge| !is_outline(edge))
            .collect();
        others.sort_unstable();
        others.dedup();
        edges.append(&mut others);
        Piece {
            sources: order
                .iter()
                .map(|&vertex| sources[vertex as usize])
                .collect(),
            hull: outline.len(),
            triangles,
            edges,
        }
    }

    /// `[x, y]` of each vertex, in pixels, y down.
    pub(super) fn vertices<'a>(&'a self, shape: &'a Shape) -> impl Iterator<Item = [f64; 2]> + 'a {
        self.sources
            .iter()
            .map(|&vertex| shape.vertices()[vertex as usize])
    }
}

/// The triangles, each wound clockwise on screen.
fn clockwise(shape: &Shape) -> Vec<[u32; 3]> {
    let at = |vertex: u32| shape.vertices()[vertex as usize];
    let is_clockwise = |&[a, b, c]: &[u32; 3]| doubled_area([at(a), at(b), at(c)]) >= 0.0;
    let triangles = shape.triangles().iter();
    triangles
        .map(|triangle| match is_clockwise(triangle) {
            true => *triangle,
            false => [triangle[0], triangle[2], triangle[1]],
        })
        .collect()
}

fn doubled_area([a, b, c]: [[f64; 2]; 3]) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

/// Of each edge, the corners that it leaves, and whether it runs from the smaller vertex there.
fn sides(triangles: &[[u32; 3]]) -> BTreeMap<[u32; 2], Vec<(usize, bool)>> {
    let mut sides: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (index, triangle) in triangles.iter().enumerate() {
        for side in 0..3 {
            let (a, b) = (triangle[side], triangle[(side + 1) % 3]);
            let leaving = (3 * index + side, a < b);
            sides.entry([a.min(b), a.max(b)]).or_default().push(leaving);
        }
    }
    sides
}

/// The next corner of the same triangle.
fn next(corner: usize) -> usize {
    corner - corner % 3 + (corner + 1) % 3
}

/// The longest way around: the ring that encloses the largest area, counter-clockwise on screen
/// from its smallest vertex.
fn outline(shape: &Shape, sources: &[u32], triangles: &[[u32; 3]]) -> Vec<u32> {
    let mut leaving = BTreeSet::new();
    for &[a, b, c] in triangles {
        for (from, to) in [(a, b), (b, c), (c, a)] {
            // What two triangles share runs both ways.
            if !leaving.remove(&(to, from)) {
                leaving.insert((from, to));
            }
        }
    }
    // Backwards, since triangles run clockwise. A vertex is one fan, so it has one edge that ends
    // there at the most.
    let mut before: BTreeMap<u32, u32> = leaving.iter().map(|&(from, to)| (to, from)).collect();
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

/// Corners or triangles that are the same or hang together.
struct Union(Vec<usize>);

impl Union {
    fn of(count: usize) -> Self {
        Union((0..count).collect())
    }

    /// The first of those that an element is together with.
    fn first(&mut self, mut element: usize) -> usize {
        while self.0[element] != element {
            self.0[element] = self.0[self.0[element]];
            element = self.0[element];
        }
        element
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        self.0[one.max(other)] = one.min(other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(vertices: &[[f64; 2]], triangles: &[[u32; 3]]) -> Shape {
        Shape::new([8, 8], vertices.to_vec(), triangles.to_vec()).expect("a shape")
    }

    #[test]
    fn an_outline_in_order_keeps_it() {
        // Counter-clockwise on screen, with a vertex inside.
        let vertices = [[0.0, 0.0], [0.0, 8.0], [8.0, 8.0], [8.0, 0.0], [3.0, 4.0]];
        let triangles = [[0, 3, 4], [3, 2, 4], [2, 1, 4], [1, 0, 4]];
        let [piece] = &Piece::of(&shape(&vertices, &triangles))[..] else {
            panic!("one piece");
        };
        assert_eq!((&piece.sources[..], piece.hull), (&[0, 1, 2, 3, 4][..], 4));
        assert_eq!(piece.triangles, triangles);
        assert_eq!(piece.edges[..4], [[0, 1], [1, 2], [2, 3], [0, 3]]);
        assert_eq!(piece.edges[4..], [[0, 4], [1, 4], [2, 4], [3, 4]]);
    }

    #[test]
    fn what_is_mixed_up_is_put_in_order() {
        // The same, with the inner vertex first and triangles wound either way.
        let vertices = [[3.0, 4.0], [8.0, 8.0], [0.0, 0.0], [8.0, 0.0], [0.0, 8.0]];
        let triangles = [[2, 3, 0], [0, 1, 3], [1, 0, 4], [4, 2, 0]];
        let [piece] = &Piece::of(&shape(&vertices, &triangles))[..] else {
            panic!("one piece");
        };
        assert_eq!((&piece.sources[..], piece.hull), (&[1, 3, 2, 4, 0][..], 4));
    }

    #[test]
    fn what_touches_in_a_point_is_two_pieces() {
        let vertices = [[0.0, 0.0], [4.0, 4.0], [0.0, 8.0], [8.0, 8.0], [8.0, 0.0]];
        let pieces = Piece::of(&shape(&vertices, &[[0, 1, 2], [1, 4, 3]]));
        let found: Vec<_> = pieces
            .iter()
            .map(|piece| (&piece.sources[..], piece.hull))
            .collect();
        assert_eq!(found, [(&[0, 2, 1][..], 3), (&[1, 3, 4][..], 3)]);
    }

    #[test]
    fn an_outline_that_touches_itself_passes_two_vertices_there() {
        // A ring around a hole, closed in the vertex 0 alone.
        let vertices = [
            [4.0, 0.0],
            [0.0, 4.0],
            [4.0, 8.0],
            [8.0, 4.0],
            [2.5, 4.0],
            [4.0, 5.5],
            [5.5, 4.0],
        ];
        let triangles = [
            [0, 4, 1],
            [1, 4, 5],
            [1, 5, 2],
            [2, 5, 6],
            [2, 6, 3],
            [3, 6, 0],
        ];
        let [piece] = &Piece::of(&shape(&vertices, &triangles))[..] else {
            panic!("one piece");
        };
        assert_eq!((piece.sources.len(), piece.hull), (8, 8));
        assert_eq!(
            piece.sources.iter().filter(|&&vertex| vertex == 0).count(),
            2
        );
    }

    #[test]
    fn the_outer_ring_is_the_outline() {
        let square = |low: f64, high: f64| [[low, low], [low, high], [high, high], [high, low]];
        // The hole first.
        let vertices = [square(3.0, 5.0), square(0.0, 8.0)].concat();
        let triangles: Vec<_> = (0..4)
            .flat_map(|side| {
                let after = (side + 1) % 4;
                [[side, 4 + side, 4 + after], [side, 4 + after, after]]
            })
            .collect();
        let [piece] = &Piece::of(&shape(&vertices, &triangles))[..] else {
            panic!("one piece");
        };
        assert_eq!(piece.hull, 4);
        assert_eq!(piece.sources, [4, 5, 6, 7, 0, 1, 2, 3]);
        assert_eq!(piece.edges.len(), 16);
    }

    #[test]
    fn an_edge_of_three_triangles_does_not_confuse() {
        let vertices = [[4.0, 0.0], [4.0, 8.0], [8.0, 4.0], [0.0, 4.0], [1.0, 3.0]];
        let triangles = [[0, 2, 1], [0, 1, 3], [0, 1, 4]];
        let pieces = Piece::of(&shape(&vertices, &triangles));
        assert_eq!(pieces.len(), 3);
        assert!(pieces.iter().all(|piece| piece.hull == 3));
    }
}
