//! What people read on standard error: notes, warnings and errors.

use crate::failure::Failure;
use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use std::fmt::Display;
use std::io::{self, Stderr, Write as _};
use std::time::Duration;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// Standard error, in colour where that is wanted. Failing to write there is no reason to fail.
pub(crate) struct Console {
    quiet: bool,
    stderr: AutoStream<Stderr>,
}

impl Console {
    /// A quiet one still tells errors.
    pub(crate) fn new(quiet: bool) -> Self {
        Console {
            quiet,
            stderr: AutoStream::auto(io::stderr()),
        }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(crate) fn note(&mut self, text: impl Display) {
        if !self.quiet {
            let _ = writeln!(self.stderr, "{text}");
        }
    }

    pub(crate) fn warning(&mut self, text: impl Display) {
        if !self.quiet {
            let _ = writeln!(self.stderr, "{WARNING}warning{WARNING:#}: {text}");
        }
    }

    pub(crate) fn hint(&mut self, text: impl Display) {
        if !self.quiet {
            let _ = writeln!(self.stderr, "{HINT}hint{HINT:#}: {text}");
        }
    }

    pub(crate) fn error(&mut self, code: &str, message: impl Display, advice: &str) {
        let _ = writeln!(self.stderr, "{ERROR}error[{code}]{ERROR:#}: {message}");
        let _ = writeln!(self.stderr, "{HINT}hint{HINT:#}: {advice}");
    }

    pub(crate) fn failure(&mut self, failure: &Failure) {
        match failure {
            Failure::Problem(problem) => {
                self.error(problem.code, &problem.message, &problem.advice);
            }
            Failure::Usage(message) => {
                let _ = writeln!(self.stderr, "{ERROR}error{ERROR:#}: {message}");
                let _ = writeln!(self.stderr, "\nFor more information, try '--help'.");
            }
            Failure::Interrupted { .. } => {
                let _ = writeln!(self.stderr, "{ERROR}interrupted{ERROR:#}");
            }
            Failure::Reported | Failure::OutputClosed => {}
        }
    }
}

/// `12 ms`, `1.25 s`, `3 min 20 s`.
pub(crate) fn duration(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    match time.as_secs() {
        0 if milliseconds < 10.0 => format!("{milliseconds:.1} ms"),
        0 => format!("{milliseconds:.0} ms"),
        1..60 => format!("{:.2} s", time.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// `1 vertex`, `2 vertices`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (milliseconds, text) in [
            (3, "3.0 ms"),
            (250, "250 ms"),
            (1250, "1.25 s"),
            (200_000, "3 min 20 s"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(count(1, "image", "images"), "1 image");
        assert_eq!(count(0, "image", "images"), "0 images");
    }
}
