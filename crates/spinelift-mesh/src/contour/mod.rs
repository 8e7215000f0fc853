//! Binary mask → the contour of the largest area.
//!
//! Borders are followed as by Suzuki and Abe ("Topological structural analysis of digitized
//! binary images by border following", 1985), restricted to outermost ones: a component inside
//! another cannot have a larger area.

mod trace;

use crate::error::{ContourError, Interrupted};
use crate::mask::BinaryMask;
use crate::progress::{Observer, Stopped, proceed};
use trace::{Border, Tracer};

/// The border of an 8-connected component, through pixel centres.
#[derive(Debug, Clone, PartialEq)]
pub struct Contour {
    /// `[x, y]` where the border changes its direction; counter-clockwise on screen, from the
    /// component's first pixel in raster order. A border that comes back along itself visits
    /// points more than once.
    pub points: Vec<[i32; 2]>,
    /// The area enclosed, in square pixels.
    pub area: f64,
}

impl Contour {
    /// The closed length in pixels: single precision for each segment, double for the sum.
    #[must_use]
    pub fn arc_length(&self) -> f64 {
        let Some(&last) = self.points.last() else {
            return 0.0;
        };
        let mut previous = last;
        let mut length = 0.0;
        for &point in &self.points {
            let dx = (point[0] - previous[0]) as f32;
            let dy = (point[1] - previous[1]) as f32;
            length += f64::from((dx * dx + dy * dy).sqrt());
            previous = point;
        }
        length
    }
}

/// Finds the contour of the largest area. Of equal ones the last in raster order wins.
///
/// # Errors
/// [`ContourError`] when nothing is foreground or every contour is smaller than
/// `min_contour_area` (px²); [`Interrupted::Stopped`] when the observer said so.
pub fn find_main_contour(
    mask: &BinaryMask,
    min_contour_area: f64,
    observer: &mut dyn Observer,
) -> Result<Contour, Interrupted<ContourError>> {
    let contour = find_main_contour_within(mask, min_contour_area, usize::MAX, observer)?;
    Ok(contour.unwrap_or_else(|| unreachable!("no contour has so many steps")))
}

/// The same, but `None` where the contour has more than `max_steps` steps from pixel to pixel:
/// then its points are not collected, and take no memory.
///
/// # Errors
/// As [`find_main_contour`].
pub fn find_main_contour_within(
    mask: &BinaryMask,
    min_contour_area: f64,
    max_steps: usize,
    observer: &mut dyn Observer,
) -> Result<Option<Contour>, Interrupted<ContourError>> {
    let mut tracer = Tracer::new(mask);
    let border = largest(mask, &mut tracer, observer)?.ok_or(ContourError::NothingVisible)?;
    let area = border.area();
    if area < min_contour_area {
        return Err(ContourError::TooSmall {
            largest: area,
            minimum: min_contour_area,
        }
        .into());
    }
    if border.steps > max_steps {
        return Ok(None);
    }
    let points = tracer.into_points(&border, observer)?;
    Ok(Some(Contour { points, area }))
}

/// The border of the largest component.
fn largest(
    mask: &BinaryMask,
    tracer: &mut Tracer<'_>,
    observer: &mut dyn Observer,
) -> Result<Option<Border>, Stopped> {
    let mut best: Option<Border> = None;
    for y in 0..mask.height() as usize {
        if y % 64 == 0 {
            proceed(observer.poll())?;
        }
        let end = mask.cell(mask.width() as usize, y);
        let mut from = mask.cell(0, y);
        // Invariant: `from` is outside of every contour found so far.
        while let Some(cell) = mask.next_set(from, end) {
            if !tracer.is_traced(cell) {
                let border = tracer.mark(cell, observer)?;
                if best.is_none_or(|best| border.doubled_area >= best.doubled_area) {
                    best = Some(border);
                }
            }
            from = tracer.exit_from(cell, end);
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::ControlFlow;

    fn mask(rows: &[&str]) -> BinaryMask {
        BinaryMask::from_fn(rows[0].len() as u32, rows.len() as u32, |x, y| {
            rows[y as usize].as_bytes()[x as usize] == b'#'
        })
    }

    fn contour(rows: &[&str]) -> Contour {
        find_main_contour(&mask(rows), 0.0, &mut ()).expect("there is one")
    }

    #[test]
    fn a_single_pixel_is_one_point() {
        let found = contour(&["...", ".#.", "..."]);
        assert_eq!(found.points, [[1, 1]]);
        assert_eq!(found.area, 0.0);
    }

    #[test]
    fn a_line_is_followed_there_and_back() {
        assert_eq!(contour(&["####"]).points, [[0, 0], [3, 0]]);
        assert_eq!(contour(&["#..", ".#.", "..#"]).points, [[0, 0], [2, 2]]);
    }

    #[test]
    fn a_square_has_its_corners_counter_clockwise_on_screen() {
        let found = contour(&["###", "###", "###"]);
        assert_eq!(found.points, [[0, 0], [0, 2], [2, 2], [2, 0]]);
        assert_eq!(found.area, 4.0);
        assert_eq!(found.arc_length(), 8.0);
    }

    #[test]
    fn of_equal_areas_the_last_start_wins() {
        assert_eq!(contour(&["##.##", "##.##"]).points[0], [3, 0]);
    }

    #[test]
    fn a_larger_island_beyond_a_hole_is_found_and_one_inside_is_not() {
        let found = contour(&[
            "#######.....",
            "#.....#.....",
            "#.###.#.####",
            "#.###.#.####",
            "#.....#.####",
            "#######.####",
        ]);
        assert_eq!(found.points, [[0, 0], [0, 5], [6, 5], [6, 0]]);
    }

    #[test]
    fn an_island_between_the_arms_of_another_is_outside_of_it() {
        let found = contour(&[
            "#......", "#.####.", "#.####.", "#.####.", "#......", "#######",
        ]);
        assert_eq!(found.points[0], [2, 1]);
    }

    #[test]
    fn a_contour_of_more_steps_than_wanted_is_not_collected() {
        let square = mask(&["###", "###", "###"]);
        let within = |steps| find_main_contour_within(&square, 1.0, steps, &mut ());
        assert_eq!(within(8), Ok(Some(contour(&["###", "###", "###"]))));
        assert_eq!(within(7), Ok(None));
    }

    #[test]
    fn nothing_and_too_little_are_errors() {
        let nothing = find_main_contour(&mask(&["..", ".."]), 1.0, &mut ());
        assert_eq!(
            nothing,
            Err(Interrupted::Failed(ContourError::NothingVisible))
        );
        let small = find_main_contour(&mask(&["##", "##"]), 1.5, &mut ());
        let error = ContourError::TooSmall {
            largest: 1.0,
            minimum: 1.5,
        };
        assert_eq!(small, Err(Interrupted::Failed(error)));
        assert!(find_main_contour(&mask(&["##", "##"]), 1.0, &mut ()).is_ok());
    }

    #[test]
    fn the_observer_can_stop_it() {
        struct Stop;
        impl Observer for Stop {
            fn step(&mut self, _: crate::Step) -> ControlFlow<()> {
                ControlFlow::Continue(())
            }
            fn poll(&mut self) -> ControlFlow<()> {
                ControlFlow::Break(())
            }
        }
        let result = find_main_contour(&mask(&["##", "##"]), 1.0, &mut Stop);
        assert_eq!(result, Err(Interrupted::Stopped));
    }
}
