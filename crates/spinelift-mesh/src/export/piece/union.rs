//! Sets that are joined.

/// Corners or triangles that are the same or hang together.
pub(super) struct Union(Vec<usize>);

impl Union {
    pub(super) fn of(count: usize) -> Self {
        Union((0..count).collect())
    }

    /// The first of those that an element is together with.
    pub(super) fn first(&mut self, mut element: usize) -> usize {
        while self.0[element] != element {
            self.0[element] = self.0[self.0[element]];
            element = self.0[element];
        }
        element
    }

    pub(super) fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        self.0[one.max(other)] = one.min(other);
    }
}
