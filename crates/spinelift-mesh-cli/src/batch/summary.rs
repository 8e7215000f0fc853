//! What people read at the end of a batch.

use super::report::{FILE_NAME, Report, Totals};
use crate::console::{Console, count, duration};
use std::path::Path;
use std::time::Duration;

/// Failures that are told once more.
const SHOWN: usize = 20;

/// `saved`: whether the report could be written, which is what `--resume` goes by.
pub(super) fn tell(
    report: &Report,
    folder: &Path,
    saved: bool,
    taken: Duration,
    console: &mut Console,
) {
    tell_failures(report, console);
    let images = count(report.totals.images, "image", "images");
    let parts = parts(&report.totals);
    console.note(format_args!("{images}: {parts} in {}", duration(taken)));
    if !saved {
        return;
    }
    console.note(format_args!("report: {}", folder.join(FILE_NAME).display()));
    if report.totals.failed + report.totals.not_run > 0 {
        console.hint("with --resume and the same parameters, only what is missing is done again");
    }
}

/// On a terminal their lines have scrolled away among others, or were never shown.
fn tell_failures(report: &Report, console: &mut Console) {
    let failures = report
        .images
        .iter()
        .filter_map(|record| Some((record, record.error.as_ref()?)));
    for (record, error) in failures.take(SHOWN) {
        // A path that could not be read or written is in the message already.
        let about = match error.message.contains(&record.input) {
            true => String::new(),
            false => format!("{}: ", record.input),
        };
        let message = format_args!("{about}{}", error.message);
        console.error(&error.code, message, &error.advice);
    }
    let failed = report.totals.failed;
    if failed > SHOWN {
        console.note(format_args!("… and {} more that failed", failed - SHOWN));
    }
}

fn parts(totals: &Totals) -> String {
    let mut parts = vec![format!("{} done", totals.ok)];
    for (number, what) in [
        (totals.failed, "failed"),
        (totals.skipped, "skipped"),
        (totals.not_run, "not reached"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    parts.join(", ")
}
