//! The prediction that an alpha chunk's values are the differences from.

/// From which neighbours a value is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    None,
    Horizontal,
    Vertical,
    Gradient,
}

/// Adds the prediction, row after row.
pub(super) struct Unfilter {
    filter: Filter,
    /// The row before; empty before the first.
    previous: Vec<u8>,
    current: Vec<u8>,
}

impl Unfilter {
    pub(super) fn new(filter: Filter) -> Self {
        Unfilter {
            filter,
            previous: Vec::new(),
            current: Vec::new(),
        }
    }

    /// The values of the next row from their differences.
    pub(super) fn row(&mut self, differences: impl ExactSizeIterator<Item = u8>) -> &[u8] {
        std::mem::swap(&mut self.previous, &mut self.current);
        self.current.clear();
        self.current.extend(differences);
        let first = self.previous.first().copied().unwrap_or(0);
        match self.filter {
            Filter::None => {}
            _ if self.previous.is_empty() => add_left(&mut self.current, 0),
            Filter::Horizontal => add_left(&mut self.current, first),
            Filter::Vertical => {
                for (value, above) in self.current.iter_mut().zip(&self.previous) {
                    *value = value.wrapping_add(*above);
                }
            }
            Filter::Gradient => add_gradient(&mut self.current, &self.previous, first),
        }
        &self.current
    }
}

fn add_left(row: &mut [u8], first: u8) {
    let mut left = first;
    for value in row {
        *value = value.wrapping_add(left);
        left = *value;
    }
}

fn add_gradient(row: &mut [u8], previous: &[u8], first: u8) {
    let (mut left, mut above_left) = (first, first);
    for (value, &above) in row.iter_mut().zip(previous) {
        let gradient = i16::from(left) + i16::from(above) - i16::from(above_left);
        *value = value.wrapping_add(gradient.clamp(0, 255) as u8);
        (left, above_left) = (*value, above);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfiltered(filter: Filter, rows: [[u8; 3]; 2]) -> [Vec<u8>; 2] {
        let mut unfilter = Unfilter::new(filter);
        rows.map(|row| unfilter.row(row.into_iter()).to_vec())
    }

    #[test]
    fn each_filter_adds_its_neighbours() {
        let differences = [[10, 1, 2], [3, 250, 5]];
        assert_eq!(unfiltered(Filter::None, differences), differences);
        let horizontal = [[10, 11, 13], [13, 7, 12]];
        assert_eq!(unfiltered(Filter::Horizontal, differences), horizontal);
        let vertical = [[10, 11, 13], [13, 5, 18]];
        assert_eq!(unfiltered(Filter::Vertical, differences), vertical);
        // 13 + 11 - 10 = 14; 8 + 13 - 11 = 10.
        let gradient = [[10, 11, 13], [13, 8, 15]];
        assert_eq!(unfiltered(Filter::Gradient, differences), gradient);
    }

    #[test]
    fn a_gradient_is_clamped() {
        let rows = [[0, 200, 0], [100, 0, 0]];
        // 100 + 200 - 0 is 255; 255 + 200 - 200 is 255.
        let expected = [vec![0, 200, 200], vec![100, 255, 255]];
        assert_eq!(unfiltered(Filter::Gradient, rows), expected);
    }
}
