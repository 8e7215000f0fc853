//! Vertices that outlines are chosen from, and which of them see each other past the silhouette.

use super::ground::Ground;
use super::plane::Point;
use super::ring::Vertex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Points whose pairs are remembered: two bits for each pair, half a megabyte.
const MOST_REMEMBERED: u32 = 2048;

/// Pairs in a byte.
const PAIRS: usize = 4;

/// The bits of a pair.
const KNOWN: u8 = 1;
const FREE: u8 = 2;

/// Vertices, one a point, and what has been found out about pairs of them: outline after outline
/// is chosen from much the same ones.
pub(crate) struct Pool<'a> {
    ground: &'a Ground,
    vertices: Vec<Vertex>,
    numbers: HashMap<Point, u32>,
    /// For each pair of points whether it is known, and whether an edge may join them.
    pairs: Vec<u8>,
}

impl<'a> Pool<'a> {
    pub(crate) fn new(ground: &'a Ground) -> Self {
        Pool {
            ground,
            vertices: Vec::new(),
            numbers: HashMap::new(),
            pairs: Vec::new(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.vertices.clear();
        self.numbers.clear();
        self.pairs.clear();
    }

    pub(crate) fn extend(&mut self, vertices: impl IntoIterator<Item = Vertex>) {
        for vertex in vertices {
            self.add(vertex);
        }
    }

    /// The vertex's number; of two at one point the first counts.
    pub(crate) fn add(&mut self, vertex: Vertex) -> u32 {
        let next = self.vertices.len() as u32;
        match self.numbers.entry(vertex.point) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                place.insert(next);
                self.vertices.push(vertex);
                next
            }
        }
    }

    /// The vertices, each at its number.
    pub(crate) fn vertices(&self) -> &[Vertex] {
        &self.vertices
    }

    /// Whether the edge between two vertices, given by their numbers, stays out of the silhouette.
    pub(crate) fn are_in_sight(&mut self, a: u32, b: u32) -> bool {
        if let Some(is_free) = self.known(a, b) {
            return is_free;
        }
        let [from, to] = [a, b].map(|number| self.vertices[number as usize].point);
        let is_free = !self.ground.is_crossed_by(from, to);
        self.remember(a, b, is_free);
        is_free
    }

    /// The same, if it has been found out before.
    pub(crate) fn known(&self, a: u32, b: u32) -> Option<bool> {
        let (byte, shift) = place(a, b);
        let bits = self.pairs.get(byte).map_or(0, |bits| bits >> shift);
        (bits & KNOWN != 0).then_some(bits & FREE != 0)
    }

    fn remember(&mut self, a: u32, b: u32, is_free: bool) {
        let high = a.max(b);
        if high >= MOST_REMEMBERED {
            return;
        }
        let (byte, shift) = place(a, b);
        if byte >= self.pairs.len() {
            let (last, _) = place(high, high);
            self.pairs.resize(last + 1, 0);
        }
        self.pairs[byte] |= (KNOWN | if is_free { FREE } else { 0 }) << shift;
    }
}

/// The byte of a pair, and its bits there.
fn place(a: u32, b: u32) -> (usize, usize) {
    let (low, high) = (a.min(b) as usize, a.max(b) as usize);
    let pair = high * (high + 1) / 2 + low;
    (pair / PAIRS, pair % PAIRS * 2)
}
