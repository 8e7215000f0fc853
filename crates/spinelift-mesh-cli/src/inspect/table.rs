//! Measures for people.

use super::Report;
use spinelift_mesh::quality::{MIN_DISTANCE, Quality, THIN_ANGLE};
use std::fmt::{self, Write as _};

pub(super) fn of(reports: &[Report]) -> String {
    let mut text = String::new();
    for (index, report) in reports.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        // Writing to a string cannot fail.
        let _ = write(&mut text, report);
    }
    text
}

fn write(text: &mut String, report: &Report) -> fmt::Result {
    let (image, width, height) = (&report.image, report.width, report.height);
    match &report.attachment {
        Some(attachment) => {
            writeln!(
                text,
                "{} (slot {}, skin {})",
                attachment.name, attachment.slot, attachment.skin
            )?;
            writeln!(text, "  {image}, {width} × {height} pixels")?;
        }
        None => writeln!(text, "{image}, {width} × {height} pixels")?,
    }
    for (name, value) in rows(&report.quality) {
        writeln!(text, "  {name:<24}{value}")?;
    }
    Ok(())
}

fn rows(quality: &Quality) -> [(String, String); 12] {
    let share = |part: u64| match quality.visible_pixels {
        0 => part.to_string(),
        all => format!("{part} ({:.2} %)", 100.0 * part as f64 / all as f64),
    };
    let measured = |value: Option<f64>, unit: &str| match value {
        Some(value) => format!("{value:.2}{unit}"),
        None => "–".to_owned(),
    };
    let near = format!("pairs within {MIN_DISTANCE} px");
    let thin = format!("longest below {THIN_ANGLE}°");
    [
        ("vertices", quality.vertices.to_string()),
        ("triangles", quality.triangles.to_string()),
        ("visible pixels", quality.visible_pixels.to_string()),
        ("lost, by their centres", share(quality.pixels_lost)),
        ("cut, or lost", share(quality.pixels_cut)),
        ("area", format!("{:.1} px²", quality.area)),
        ("overdraw", measured(quality.overdraw, "")),
        ("smallest angle", measured(quality.min_angle, "°")),
        ("median of them", measured(quality.median_angle, "°")),
        (
            "smallest triangle",
            measured(quality.smallest_triangle, " px²"),
        ),
        (&near, quality.near_duplicate_vertices.to_string()),
        (&thin, measured(quality.longest_thin_triangle, " px²")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}
