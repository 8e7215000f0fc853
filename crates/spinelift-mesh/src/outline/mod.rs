//! Contour → outline of few vertices.

mod simplify;

pub use simplify::simplify;

use crate::contour::Contour;
use crate::parameters::MeshParameters;
use crate::progress::{Observer, Stopped};

/// A closed polygon around the sprite, in ring order; the last vertex joins the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// `[x, y]` of each vertex, in pixels.
    pub points: Vec<[i32; 2]>,
    /// Whether it is the image's rectangle, because simplification failed.
    pub is_fallback_rectangle: bool,
}

impl Outline {
    /// Simplifies a contour with the [tolerance] that the parameters ask for. Where fewer than
    /// three vertices are left, the image's rectangle is the outline.
    ///
    /// # Errors
    /// [`Stopped`] when the observer said so.
    pub fn from_contour(
        contour: &Contour,
        parameters: &MeshParameters,
        width: u32,
        height: u32,
        observer: &mut dyn Observer,
    ) -> Result<Self, Stopped> {
        let arc_length = contour.arc_length();
        if contour.points.len() >= 3 && arc_length > 0.0 {
            let points = simplify(&contour.points, tolerance(parameters, arc_length), observer)?;
            if points.len() >= 3 {
                return Ok(Outline {
                    points,
                    is_fallback_rectangle: false,
                });
            }
        }
        Ok(Self::rectangle(width, height))
    }

    /// The image's rectangle, for want of anything better.
    #[must_use]
    pub fn rectangle(width: u32, height: u32) -> Self {
        let (width, height) = (width as i32, height as i32);
        Outline {
            points: vec![[0, 0], [width, 0], [width, height], [0, height]],
            is_fallback_rectangle: true,
        }
    }

    /// The points as vertices of a mesh.
    #[must_use]
    pub fn vertices(&self) -> Vec<[f64; 2]> {
        self.points
            .iter()
            .map(|point| point.map(f64::from))
            .collect()
    }
}

/// How far, in pixels, the outline may lie from a contour of the given length: 0.2 % of it at
/// the largest `detail_factor`, 3 % at the smallest, up to five times that with
/// `concave_factor`; never below 0.1.
#[must_use]
pub fn tolerance(parameters: &MeshParameters, arc_length: f64) -> f64 {
    (relative_tolerance(parameters) * arc_length).max(0.1)
}

/// The tolerance as a share of the contour's length: 0.002 to 0.15.
#[must_use]
pub fn relative_tolerance(parameters: &MeshParameters) -> f64 {
    let detail = parameters.detail_factor.clamp(0.001, 0.050);
    let detail = (detail - 0.001) / (0.050 - 0.001);
    let share = 0.002 + (1.0 - detail.sqrt()) * (0.03 - 0.002);
    let coarsening = 1.0 + 4.0 * parameters.concave_factor / 100.0;
    share * coarsening
}

/// Steps of the longest contour that leaves more than the image's rectangle: the tolerance of
/// longer ones is so large that no three points of the image are that far from one another.
///
/// What is kept lies farther than the tolerance from one another. Of three points two are in the
/// same half of the image, so at most half of its width and its whole height apart, or the other
/// way round.
#[must_use]
pub fn longest_contour(parameters: &MeshParameters, width: u32, height: u32) -> usize {
    let (width, height) = (f64::from(width), f64::from(height));
    let reach = (width * width / 4.0 + height * height)
        .min(width * width + height * height / 4.0)
        .sqrt();
    // A step is a pixel or more; lengths are summed in single precision.
    (1.001 * reach / relative_tolerance(parameters)) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_detail_is_less_tolerance() {
        let at = |detail_factor, concave_factor| {
            let parameters = MeshParameters {
                detail_factor,
                concave_factor,
                ..Default::default()
            };
            tolerance(&parameters, 1000.0)
        };
        assert!((at(0.001, 0.0) - 30.0).abs() < 1e-9);
        assert!((at(0.050, 0.0) - 2.0).abs() < 1e-9);
        assert!((at(0.001, 100.0) - 150.0).abs() < 1e-9);
        assert!(at(0.02, 0.0) < at(0.01, 0.0));
        assert_eq!(tolerance(&MeshParameters::default(), 1.0), 0.1);
    }

    #[test]
    fn what_is_longer_than_the_longest_contour_becomes_the_rectangle() {
        const SIZE: i32 = 500;
        let comb = |teeth: i32| Contour {
            points: (0..teeth)
                .map(|tooth| tooth * SIZE / teeth)
                .flat_map(|x| [[x, 0], [x, SIZE - 1], [x + 1, SIZE - 1], [x + 1, 0]])
                .collect(),
            area: 1.0,
        };
        for (detail_factor, concave_factor) in
            [(0.001, 0.0), (0.01, 0.0), (0.05, 0.0), (0.05, 100.0)]
        {
            let parameters = MeshParameters {
                detail_factor,
                concave_factor,
                ..Default::default()
            };
            let size = SIZE as u32;
            let longest = longest_contour(&parameters, size, size) as f64;
            let mut longest_kept: f64 = 0.0;
            for teeth in 1..SIZE / 2 {
                let comb = comb(teeth);
                let outline = Outline::from_contour(&comb, &parameters, size, size, &mut ())
                    .expect("nobody stops it");
                if !outline.is_fallback_rectangle {
                    longest_kept = longest_kept.max(comb.arc_length());
                }
            }
            // No longer one is kept, and the bound is not far off.
            assert!(longest_kept <= longest, "{longest_kept} > {longest}");
            assert!(longest_kept >= 0.3 * longest, "{longest_kept} << {longest}");
        }
    }

    #[test]
    fn what_cannot_be_simplified_becomes_the_rectangle() {
        let contour = Contour {
            points: vec![[0, 0], [5, 0]],
            area: 0.0,
        };
        let outline = Outline::from_contour(&contour, &MeshParameters::default(), 6, 1, &mut ())
            .expect("nobody stops it");
        assert!(outline.is_fallback_rectangle);
        assert_eq!(outline.points, [[0, 0], [6, 0], [6, 1], [0, 1]]);
    }
}
