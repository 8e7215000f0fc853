//! A shape as the formats of sprite tools want it: pieces that hang together, each with one
//! outline, whose vertices come first.

mod outline;
mod seams;
mod union;

use crate::shape::Shape;
use outline::outline;
use seams::Sewn;
use std::collections::BTreeMap;

/// Triangles that hang together over edges. No two of their fans share a vertex, so that an outline
/// that touches itself in a point passes two vertices there. What has no area is left out.
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
        let mut sewn = Sewn::of(shape);
        let pieces = sewn.pieces();
        pieces
            .iter()
            .map(|members| Piece::from_triangles(shape, &mut sewn, members))
            .collect()
    }

    fn from_triangles(shape: &Shape, sewn: &mut Sewn, members: &[usize]) -> Piece {
        // A fan is a vertex; they are in the order of the shape's vertices.
        let mut fans = BTreeMap::new();
        let mut found = Vec::with_capacity(members.len());
        for &triangle in members {
            found.push([0, 1, 2].map(|corner| {
                let fan = sewn.fan(triangle, corner);
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
        let mut border = Vec::new();
        for (&triangle, corners) in members.iter().zip(&numbered) {
            let open = (0..3).filter(|&side| !sewn.is_seam(triangle, side));
            border.extend(open.map(|side| (corners[side], corners[(side + 1) % 3])));
        }
        let outline = outline(shape, &sources, &border);
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
    fn what_has_no_area_is_left_out() {
        // Folded flat, the four sides of a tetrahedron have no border at all.
        let vertices = [[0.0, 0.0], [3.0, 3.0], [1.0, 1.0], [2.0, 2.0], [0.0, 4.0]];
        let flat = [[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]];
        assert_eq!(Piece::of(&shape(&vertices, &flat)), []);
        let with_one = [&flat[..], &[[0, 4, 1]]].concat();
        let [piece] = &Piece::of(&shape(&vertices, &with_one))[..] else {
            panic!("one piece");
        };
        assert_eq!((&piece.sources[..], piece.hull), (&[0, 4, 1][..], 3));
    }

    /// A disc of triangles, with two more on one of its spokes.
    #[test]
    fn an_edge_of_four_triangles_is_a_cut() {
        let vertices = [
            [4.0, 4.0],
            [0.0, 0.0],
            [8.0, 0.0],
            [8.0, 8.0],
            [0.0, 8.0],
            [2.0, 1.0],
            [1.0, 2.0],
        ];
        let disc = [[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1]];
        let with_more = [&disc[..], &[[0, 1, 5], [0, 6, 1]]].concat();
        let pieces = Piece::of(&shape(&vertices, &with_more));
        assert_eq!(pieces.len(), 3);
        // Around the disc and along both sides of the cut: the middle is there once, the corner
        // where the cut begins twice.
        assert_eq!((pieces[0].sources.len(), pieces[0].hull), (6, 6));
        assert_eq!(pieces[0].sources.iter().filter(|&&at| at == 1).count(), 2);
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
