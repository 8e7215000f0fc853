//! Box blur and threshold, row by row.
//!
//! The border is reflect-101 (`dcb|abcd|cba`). The kernel is odd, so a rounded mean never ties
//! and `mean > t` holds exactly when `2 · sum > (2t + 1) · k²`: no division is needed.

use super::binary::BinaryMask;

/// Blurs rows as they come; its memory is a few rows, whatever the height.
///
/// Sums are 16 bits wide and saturate. Where the least sum of foreground does not fit, the
/// complement is summed instead: then the largest sum of foreground fits.
#[derive(Debug)]
pub(super) struct BoxBlur {
    height: usize,
    kernel: usize,
    foreground: Foreground,
    /// The last `kernel + 1` rows, row `y` at `y % (kernel + 1)`.
    recent: Vec<Vec<u8>>,
    rows_in: usize,
    rows_out: usize,
    /// Sums over the window's rows, one for each column.
    columns: Vec<u16>,
    window: Window,
    /// One for foreground, zero for background.
    flags: Vec<u8>,
}

/// Which sums of a window are foreground.
#[derive(Debug, Clone, Copy)]
enum Foreground {
    /// No sum is: nothing is brighter than white.
    Nothing,
    /// Sums of at least this.
    AtLeast(u16),
    /// Sums of the complement of at most this.
    ComplementAtMost(u16),
}

impl Foreground {
    fn new(kernel: usize, threshold: u8) -> Self {
        let area = (kernel * kernel) as u32;
        let least = (2 * u32::from(threshold) + 1) * area / 2 + 1;
        match (u16::try_from(least), (255 * area).checked_sub(least)) {
            (_, None) => Foreground::Nothing,
            (Ok(least), _) => Foreground::AtLeast(least),
            // 21² · 255 is less than twice what fits.
            (Err(_), Some(most)) => Foreground::ComplementAtMost(most as u16),
        }
    }
}

impl BoxBlur {
    pub(super) fn new(width: usize, height: usize, kernel: usize, threshold: u8) -> Self {
        BoxBlur {
            height,
            kernel,
            foreground: Foreground::new(kernel, threshold),
            recent: vec![Vec::new(); kernel + 1],
            rows_in: 0,
            rows_out: 0,
            columns: vec![0; width],
            window: Window::new(width, kernel),
            flags: vec![0; width],
        }
    }

    /// Takes the next row, and gives the mask every row that is now complete.
    pub(super) fn push_row(&mut self, row: &[u8], mask: &mut BinaryMask) {
        let slot = self.rows_in % self.recent.len();
        self.recent[slot].clear();
        match self.foreground {
            Foreground::ComplementAtMost(_) => self.recent[slot].extend(row.iter().map(|&a| !a)),
            _ => self.recent[slot].extend_from_slice(row),
        }
        self.rows_in += 1;
        let radius = self.kernel / 2;
        while self.rows_out < self.height
            && (self.rows_in == self.height || self.rows_in > self.rows_out + radius)
        {
            self.slide_down();
            self.send_row(mask);
            self.rows_out += 1;
        }
    }

    fn send_row(&mut self, mask: &mut BinaryMask) {
        let sums = self.window.sums(&self.columns).iter();
        let flags = self.flags.iter_mut();
        match self.foreground {
            Foreground::Nothing => return mask.push_empty_row(),
            Foreground::AtLeast(least) => {
                flags
                    .zip(sums)
                    .for_each(|(flag, sum)| *flag = u8::from(*sum >= least));
            }
            Foreground::ComplementAtMost(most) => {
                flags
                    .zip(sums)
                    .for_each(|(flag, sum)| *flag = u8::from(*sum <= most));
            }
        }
        mask.push_row(&self.flags, 1);
    }

    /// Moves the column sums to the window around row `rows_out`.
    fn slide_down(&mut self) {
        let radius = (self.kernel / 2) as isize;
        let center = self.rows_out as isize;
        if center == 0 {
            for offset in -radius..=radius {
                let slot = self.slot(offset);
                add(&mut self.columns, &self.recent[slot]);
            }
        } else {
            let (gone, come) = (self.slot(center - radius - 1), self.slot(center + radius));
            exchange(&mut self.columns, &self.recent[gone], &self.recent[come]);
        }
    }

    fn slot(&self, row: isize) -> usize {
        reflect(row, self.height) % self.recent.len()
    }
}

fn add(columns: &mut [u16], row: &[u8]) {
    for (sum, &value) in columns.iter_mut().zip(row) {
        *sum += u16::from(value);
    }
}

fn exchange(columns: &mut [u16], gone: &[u8], come: &[u8]) {
    for ((sum, &gone), &come) in columns.iter_mut().zip(gone).zip(come) {
        *sum = *sum + u16::from(come) - u16::from(gone);
    }
}

/// The place inside `0..length` that a place outside mirrors; the edge itself is not repeated.
fn reflect(place: isize, length: usize) -> usize {
    if length == 1 {
        return 0;
    }
    let period = 2 * (length - 1);
    let place = place.rem_euclid(period as isize) as usize;
    place.min(period - place)
}

/// Sums over a window of columns, by doubling: sums of 1, 2, 4, … neighbours, of which those
/// that make up the kernel are added. Every pass is a plain loop over slices.
#[derive(Debug)]
struct Window {
    kernel: usize,
    /// `sums[x]`: the sum of some power of two of columns from `x - kernel / 2` on.
    sums: Vec<u16>,
    doubled: Vec<u16>,
    total: Vec<u16>,
}

impl Window {
    fn new(width: usize, kernel: usize) -> Self {
        Window {
            kernel,
            sums: vec![0; width + kernel - 1],
            doubled: vec![0; width + kernel - 1],
            total: vec![0; width],
        }
    }

    fn sums(&mut self, columns: &[u16]) -> &[u16] {
        self.pad(columns);
        self.add_up();
        &self.total
    }

    fn pad(&mut self, columns: &[u16]) {
        let (width, radius) = (columns.len(), self.kernel / 2);
        self.sums[radius..radius + width].copy_from_slice(columns);
        for step in 1..=radius {
            let (before, after) = (-(step as isize), (width + step - 1) as isize);
            self.sums[radius - step] = columns[reflect(before, width)];
            self.sums[radius + width + step - 1] = columns[reflect(after, width)];
        }
    }

    fn add_up(&mut self) {
        // The kernel is odd: it begins with one column.
        let width = self.total.len();
        self.total.copy_from_slice(&self.sums[..width]);
        let (mut span, mut start) = (1, 1);
        while span * 2 <= self.kernel {
            double(&mut self.doubled, &self.sums, span);
            std::mem::swap(&mut self.doubled, &mut self.sums);
            span *= 2;
            if self.kernel & span != 0 {
                for (total, &sum) in self.total.iter_mut().zip(&self.sums[start..]) {
                    *total = total.saturating_add(sum);
                }
                start += span;
            }
        }
    }
}

/// `doubled[x] = sums[x] + sums[x + span]`; the last `span` places are of no use any more.
fn double(doubled: &mut [u16], sums: &[u16], span: usize) {
    for ((doubled, &near), &far) in doubled.iter_mut().zip(sums).zip(&sums[span..]) {
        *doubled = near.saturating_add(far);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, pixel by pixel.
    fn blurred_above(
        alpha: &[u8],
        width: usize,
        height: usize,
        kernel: usize,
        threshold: u8,
        x: usize,
        y: usize,
    ) -> bool {
        let radius = (kernel / 2) as isize;
        let mut sum = 0u64;
        for dy in -radius..=radius {
            for dx in -radius..=radius {
                let row = reflect(y as isize + dy, height);
                let column = reflect(x as isize + dx, width);
                sum += u64::from(alpha[row * width + column]);
            }
        }
        let mean = (sum as f64 / (kernel * kernel) as f64).round();
        mean > f64::from(threshold)
    }

    #[test]
    fn equals_the_definition_for_every_kernel_and_small_sizes() {
        let mut state = 1u64;
        let mut random = move || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize
        };
        for (width, height) in [
            (1, 1),
            (2, 1),
            (1, 3),
            (3, 2),
            (5, 4),
            (9, 40),
            (40, 9),
            (67, 23),
        ] {
            let alpha: Vec<u8> = (0..width * height)
                .map(|_| [0, 0, 255, random() as u8][random() % 4])
                .collect();
            for kernel in (3..=21).step_by(2) {
                for threshold in [0, 1, 60, 128, 254, 255] {
                    let mut blur = BoxBlur::new(width, height, kernel, threshold);
                    let mut mask = BinaryMask::with_rows_to_come(width as u32, height as u32);
                    for row in alpha.chunks_exact(width) {
                        blur.push_row(row, &mut mask);
                    }
                    let expected = BinaryMask::from_fn(width as u32, height as u32, |x, y| {
                        blurred_above(
                            &alpha, width, height, kernel, threshold, x as usize, y as usize,
                        )
                    });
                    assert_eq!(mask, expected, "{width}x{height} k={kernel} t={threshold}");
                }
            }
        }
    }

    #[test]
    fn reflection_does_not_repeat_the_edge() {
        let places: Vec<usize> = (-4..7).map(|place| reflect(place, 4)).collect();
        assert_eq!(places, [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
        assert_eq!(reflect(-17, 1), 0);
    }
}
