//! Which triangle is next.

/// Triangles that are too large, the largest first to within a class of areas.
pub(super) struct Queue {
    classes: Vec<Vec<u32>>,
    classes_per_octave: u64,
}

impl Queue {
    pub(super) fn new(classes_per_octave: u64) -> Self {
        Queue {
            classes: Vec::new(),
            classes_per_octave,
        }
    }

    /// Adds a triangle that is `ratio` (at least 1) times too large.
    pub(super) fn push(&mut self, triangle: u32, ratio: f64) {
        // Exponent and first bits of the mantissa: a logarithm that is the same everywhere.
        let logarithm = (ratio.to_bits() >> (52 - self.classes_per_octave.ilog2()))
            .saturating_sub(self.classes_per_octave * 1023);
        let class = logarithm as usize;
        if self.classes.len() <= class {
            self.classes.resize(class + 1, Vec::new());
        }
        self.classes[class].push(triangle);
    }

    pub(super) fn pop(&mut self) -> Option<u32> {
        loop {
            let class = self.classes.last_mut()?;
            match class.pop() {
                Some(triangle) => return Some(triangle),
                None => self.classes.pop(),
            };
        }
    }
}
