//! A planar subdivision of edges around vertices: the primal half of Guibas and Stolfi's
//! quad-edge ("Primitives for the manipulation of general subdivisions", 1985).
//!
//! An edge is a pair of directed half-edges `e` and `e ^ 1`. The half-edges that leave a vertex
//! form a ring, counter-clockwise in a plane with y up.

pub(super) const NONE: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(super) struct Subdivision {
    half_edges: Vec<HalfEdge>,
}

#[derive(Debug, Clone, Copy)]
struct HalfEdge {
    origin: u32,
    /// The next and the previous half-edge around the origin.
    next: u32,
    previous: u32,
    constrained: bool,
}

pub(super) fn twin(edge: u32) -> u32 {
    edge ^ 1
}

impl Subdivision {
    pub(super) fn with_capacity(edges: usize) -> Self {
        Subdivision {
            half_edges: Vec::with_capacity(2 * edges),
        }
    }

    /// Ids of all half-edges that were not removed.
    pub(super) fn half_edges(&self) -> impl Iterator<Item = u32> + '_ {
        let is_alive = |edge: &u32| self.half_edges[*edge as usize].origin != NONE;
        (0..self.half_edges.len() as u32).filter(is_alive)
    }

    /// One more than the largest id.
    pub(super) fn id_bound(&self) -> usize {
        self.half_edges.len()
    }

    pub(super) fn origin(&self, edge: u32) -> u32 {
        self.half_edges[edge as usize].origin
    }

    pub(super) fn destination(&self, edge: u32) -> u32 {
        self.origin(twin(edge))
    }

    /// Counter-clockwise around the origin.
    pub(super) fn next_around_origin(&self, edge: u32) -> u32 {
        self.half_edges[edge as usize].next
    }

    /// Clockwise around the origin.
    pub(super) fn previous_around_origin(&self, edge: u32) -> u32 {
        self.half_edges[edge as usize].previous
    }

    /// The next half-edge of the face to the left.
    pub(super) fn next_around_left(&self, edge: u32) -> u32 {
        self.previous_around_origin(twin(edge))
    }

    /// The previous half-edge of the face to the right, seen from it.
    pub(super) fn previous_around_right(&self, edge: u32) -> u32 {
        self.next_around_origin(twin(edge))
    }

    /// The third corner of the triangle to the left.
    pub(super) fn left_apex(&self, edge: u32) -> u32 {
        self.destination(self.next_around_left(edge))
    }

    pub(super) fn is_constrained(&self, edge: u32) -> bool {
        self.half_edges[edge as usize].constrained
    }

    pub(super) fn constrain(&mut self, edge: u32) {
        self.half_edges[edge as usize].constrained = true;
        self.half_edges[twin(edge) as usize].constrained = true;
    }

    /// Adds an edge that is joined to nothing, and returns the half-edge from `origin`.
    pub(super) fn add(&mut self, origin: u32, destination: u32) -> u32 {
        let edge = self.half_edges.len() as u32;
        for (id, origin) in [(edge, origin), (edge + 1, destination)] {
            self.half_edges.push(HalfEdge {
                origin,
                next: id,
                previous: id,
                constrained: false,
            });
        }
        edge
    }

    /// Joins two rings, or cuts one in two.
    pub(super) fn splice(&mut self, a: u32, b: u32) {
        let (after_a, after_b) = (self.next_around_origin(a), self.next_around_origin(b));
        self.half_edges[a as usize].next = after_b;
        self.half_edges[b as usize].next = after_a;
        self.half_edges[after_b as usize].previous = a;
        self.half_edges[after_a as usize].previous = b;
    }

    /// Adds an edge from the destination of `a` to the origin of `b`, which share a left face.
    pub(super) fn connect(&mut self, a: u32, b: u32) -> u32 {
        let edge = self.add(self.destination(a), self.origin(b));
        let after_a = self.next_around_left(a);
        self.splice(edge, after_a);
        self.splice(twin(edge), b);
        edge
    }

    pub(super) fn remove(&mut self, edge: u32) {
        self.detach(edge);
        self.half_edges[edge as usize].origin = NONE;
        self.half_edges[twin(edge) as usize].origin = NONE;
    }

    /// Turns the edge between two triangles into the other diagonal of their quadrilateral.
    pub(super) fn flip(&mut self, edge: u32) {
        let a = self.previous_around_origin(edge);
        let b = self.previous_around_origin(twin(edge));
        self.detach(edge);
        let (after_a, after_b) = (self.next_around_left(a), self.next_around_left(b));
        self.splice(edge, after_a);
        self.splice(twin(edge), after_b);
        self.half_edges[edge as usize].origin = self.destination(a);
        self.half_edges[twin(edge) as usize].origin = self.destination(b);
    }

    fn detach(&mut self, edge: u32) {
        for half in [edge, twin(edge)] {
            let previous = self.previous_around_origin(half);
            self.splice(half, previous);
        }
    }
}
