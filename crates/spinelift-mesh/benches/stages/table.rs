//! Least times, and ratios between them.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Rounds of one measurement; the least time counts.
const ROUNDS: usize = 7;

#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    ours: f64,
    peers: Vec<(&'static str, f64)>,
}

impl Table {
    pub(crate) fn rounds(&self) -> usize {
        ROUNDS
    }

    pub(crate) fn measure<T>(&mut self, name: &str, work: impl FnMut() -> T) {
        self.measure_each(name, 1, work);
    }

    /// Measures work on `count` things, and notes the time of one.
    pub(crate) fn measure_each<T>(&mut self, name: &str, count: usize, work: impl FnMut() -> T) {
        let ours = least_time(ROUNDS, work).as_secs_f64() / count as f64;
        eprintln!("{name}: {}", human(ours));
        self.rows.push(Row {
            name: name.into(),
            ours,
            peers: Vec::new(),
        });
    }

    /// Notes what a peer needed for the work last measured, in seconds.
    pub(crate) fn peer(&mut self, name: &'static str, seconds: Option<&f64>) {
        if let (Some(row), Some(&seconds)) = (self.rows.last_mut(), seconds) {
            row.peers.push((name, seconds));
        }
    }

    pub(crate) fn print(&self) {
        let mut text = String::from("| stage | ours | peers (times ours) |\n|---|---|---|\n");
        for row in &self.rows {
            let peer = |(name, seconds): &(&str, f64)| {
                format!("{name} {} ({:.1})", human(*seconds), seconds / row.ours)
            };
            let peers: Vec<String> = row.peers.iter().map(peer).collect();
            text += &format!(
                "| {} | {} | {} |\n",
                row.name,
                human(row.ours),
                peers.join(", ")
            );
        }
        eprintln!();
        print_to_stdout(&text);
    }
}

#[allow(clippy::print_stdout)]
fn print_to_stdout(text: &str) {
    print!("{text}");
}

pub(crate) fn least_time<T>(rounds: usize, mut work: impl FnMut() -> T) -> Duration {
    let round = |_| {
        let start = Instant::now();
        black_box(work());
        start.elapsed()
    };
    (0..rounds).map(round).min().unwrap_or_default()
}

fn human(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.2} µs", s * 1e6),
    }
}
