//! Triangles → edges, told apart into boundary and internal ones.

/// The edges of a triangulation as flat lists of index pairs: each edge once, its smaller index
/// first, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edges {
    /// Edges used by exactly one triangle: `a0, b0, a1, b1, …`.
    pub boundary: Vec<u32>,
    /// Edges used by two triangles.
    pub internal: Vec<u32>,
}

impl Edges {
    /// Collects the edges of triangles.
    ///
    /// # Panics
    /// If an index is not below `vertex_count`.
    #[must_use]
    pub fn of(triangles: &[[u32; 3]], vertex_count: usize) -> Self {
        let by_smaller_end = Incidence::new(triangles, vertex_count);
        let mut edges = Edges {
            boundary: Vec::new(),
            internal: Vec::with_capacity(3 * triangles.len()),
        };
        for start in 0..vertex_count {
            let mut ends = by_smaller_end.ends(start);
            while let Some((&end, _)) = ends.split_first() {
                let uses = ends.iter().take_while(|&&other| other == end).count();
                let list = if uses == 1 {
                    &mut edges.boundary
                } else {
                    &mut edges.internal
                };
                list.extend([start as u32, end]);
                ends = &ends[uses..];
            }
        }
        edges
    }
}

/// For each vertex the larger ends of the sides that have it as their smaller end.
struct Incidence {
    offsets: Vec<usize>,
    ends: Vec<u32>,
}

impl Incidence {
    fn new(triangles: &[[u32; 3]], vertex_count: usize) -> Self {
        let sides = || {
            triangles
                .iter()
                .flat_map(|&[a, b, c]| [[a, b], [b, c], [c, a]])
                .map(|[a, b]| (a.min(b), a.max(b)))
        };
        let mut offsets = vec![0; vertex_count + 1];
        sides().for_each(|(start, _)| offsets[start as usize + 1] += 1);
        for vertex in 0..vertex_count {
            offsets[vertex + 1] += offsets[vertex];
        }
        let mut free = offsets.clone();
        let mut ends = vec![0; 3 * triangles.len()];
        for (start, end) in sides() {
            ends[free[start as usize]] = end;
            free[start as usize] += 1;
        }
        for vertex in 0..vertex_count {
            ends[offsets[vertex]..offsets[vertex + 1]].sort_unstable();
        }
        Incidence { offsets, ends }
    }

    fn ends(&self, start: usize) -> &[u32] {
        &self.ends[self.offsets[start]..self.offsets[start + 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_has_four_boundary_edges_and_one_diagonal() {
        let edges = Edges::of(&[[0, 1, 2], [0, 2, 3]], 4);
        assert_eq!(edges.boundary, [0, 1, 0, 3, 1, 2, 2, 3]);
        assert_eq!(edges.internal, [0, 2]);
    }

    #[test]
    fn nothing_has_no_edges() {
        assert_eq!(Edges::of(&[], 0), Edges::default());
    }
}
