//! Rows of alpha → a binary mask: threshold, box blur, threshold.

mod binary;
mod blur;

pub use binary::BinaryMask;

use crate::image::AlphaSink;
use crate::parameters::MeshParameters;
use crate::progress::Stopped;
use blur::BoxBlur;

/// Makes a [`BinaryMask`] from rows of alpha as they are decoded.
///
/// A pixel with alpha below `alpha_threshold` counts as 0; the rest keeps its alpha; a box blur
/// of `blur_kernel_size` follows; foreground is what is strictly above `binary_threshold`.
#[derive(Debug)]
pub struct MaskBuilder {
    mask: BinaryMask,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Without blur both thresholds are one: foreground is alpha ≥ `least`.
    Threshold { least: u16 },
    Blur {
        blur: Box<BoxBlur>,
        alpha_threshold: u8,
        row: Vec<u8>,
    },
}

impl MaskBuilder {
    /// Starts a mask of `width · height` pixels. The parameters must be
    /// [normalized](MeshParameters::normalized).
    #[must_use]
    pub fn new(width: u32, height: u32, parameters: &MeshParameters) -> Self {
        let above = u16::from(parameters.binary_threshold) + 1;
        let stage = if parameters.blur_kernel_size <= 1 {
            Stage::Threshold {
                least: above.max(u16::from(parameters.alpha_threshold)),
            }
        } else {
            Stage::Blur {
                blur: Box::new(BoxBlur::new(
                    width as usize,
                    height as usize,
                    parameters.blur_kernel_size as usize,
                    parameters.binary_threshold,
                )),
                alpha_threshold: parameters.alpha_threshold,
                row: Vec::with_capacity(width as usize),
            }
        };
        MaskBuilder {
            mask: BinaryMask::with_rows_to_come(width, height),
            stage,
        }
    }

    /// Starts a mask of the pixels whose alpha is at least `least`.
    #[must_use]
    pub fn at_least(width: u32, height: u32, least: u8) -> Self {
        MaskBuilder {
            mask: BinaryMask::with_rows_to_come(width, height),
            stage: Stage::Threshold {
                least: u16::from(least),
            },
        }
    }

    /// The mask; rows that never came are background.
    #[must_use]
    pub fn finish(self) -> BinaryMask {
        self.mask
    }
}

impl AlphaSink for MaskBuilder {
    fn row(&mut self, alpha: &[u8]) -> Result<(), Stopped> {
        match &mut self.stage {
            Stage::Threshold { least } => match u8::try_from(*least) {
                Ok(least) => self.mask.push_row(alpha, least),
                Err(_) => self.mask.push_empty_row(),
            },
            Stage::Blur {
                blur,
                alpha_threshold,
                row,
            } => {
                row.clear();
                row.extend(
                    alpha
                        .iter()
                        .map(|&a| if a < *alpha_threshold { 0 } else { a }),
                );
                blur.push_row(row, &mut self.mask);
            }
        }
        Ok(())
    }
}
