//! How far a batch is: a bar on a terminal, a line for each image elsewhere.

use super::report::{Record, Status};
use crate::console::{Console, count};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal as _};
use std::time::Duration;

pub(crate) struct Progress {
    total: usize,
    told: usize,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(total: usize, console: &Console) -> Self {
        let bar = (io::stderr().is_terminal() && !console.is_quiet()).then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template(
                "{bar:32.cyan/dim} {pos}/{len} images, {eta} left  {wide_msg:.dim}",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Progress {
            total,
            told: 0,
            bar,
        }
    }

    pub(crate) fn tell(&mut self, record: &Record, console: &mut Console) {
        self.told += 1;
        match &self.bar {
            Some(bar) => {
                bar.set_message(record.input.clone());
                bar.inc(1);
                if record.status == Status::Failed {
                    bar.suspend(|| console.note(line(record)));
                }
            }
            None => {
                let width = self.total.to_string().len();
                let Progress { told, total, .. } = self;
                console.note(format_args!("[{told:>width$}/{total}] {}", line(record)));
            }
        }
    }

    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(record: &Record) -> String {
    let input = &record.input;
    match (record.status, &record.made, &record.error) {
        (Status::Skipped, ..) => format!("skipped {input}"),
        (Status::Ok, Some(made), _) => {
            let warnings = match made.warnings.len() {
                0 => String::new(),
                number => format!(", {}", count(number, "warning", "warnings")),
            };
            format!(
                "ok      {input}: {}, {}, {:.1} ms{warnings}",
                count(made.vertex_count, "vertex", "vertices"),
                count(made.triangle_count, "triangle", "triangles"),
                record.milliseconds,
            )
        }
        (_, _, Some(error)) => {
            format!("failed  {input}: {}: {}", error.code, error.message)
        }
        _ => format!("failed  {input}"),
    }
}
