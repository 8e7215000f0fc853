//! What has been done so far, written to the report now and then.

use super::plan::Plan;
use super::report::{Earlier, Record, Report, Status, Totals};
use crate::failure::Problem;
use std::path::Path;
use std::time::{Duration, Instant};

/// A crash loses the report of this long at most.
const SAVE_EVERY: Duration = Duration::from_secs(2);

pub(super) struct Ledger<'a> {
    folder: &'a Path,
    plan: &'a Plan,
    earlier: &'a Earlier,
    report: Report,
    /// By rank in the plan.
    records: Vec<Option<Record>>,
    unreadable: Vec<Record>,
    start: Instant,
    saved: Instant,
    /// How long the last saving took.
    saving: Duration,
}

impl<'a> Ledger<'a> {
    /// Writes the first report, so that a folder that takes none is known before any work.
    pub(super) fn open(
        folder: &'a Path,
        plan: &'a Plan,
        earlier: &'a Earlier,
        report: Report,
        start: Instant,
    ) -> Result<Self, Problem> {
        let unreadable = plan.unreadable.iter();
        let mut ledger = Ledger {
            folder,
            plan,
            earlier,
            report,
            records: vec![None; plan.images.len()],
            unreadable: unreadable
                .map(|(path, problem)| Record::failed(path, problem, 0.0))
                .collect(),
            start,
            saved: Instant::now(),
            saving: Duration::ZERO,
        };
        // What a run that dies leaves behind.
        ledger.report.interrupted = true;
        ledger.save()?;
        Ok(ledger)
    }

    /// The inputs that could not even be looked for.
    pub(super) fn unreadable(&self) -> &[Record] {
        &self.unreadable
    }

    pub(super) fn enter(&mut self, index: usize, record: Record) {
        self.records[index] = Some(record);
    }

    /// Saves if the last time was a while ago. What keeps it from being written is told at the
    /// end.
    pub(super) fn save_now_and_then(&mut self) {
        // A report of very many images takes its time; most of it is for the images.
        if self.saved.elapsed() > SAVE_EVERY.max(self.saving * 20) {
            let before = Instant::now();
            let _ = self.save();
            self.saved = Instant::now();
            self.saving = self.saved - before;
        }
    }

    /// The last report, and whether it could be written.
    pub(super) fn close(mut self, interrupted: bool) -> (Report, Result<(), Problem>) {
        self.report.interrupted = interrupted;
        let saved = self.save();
        (self.report, saved)
    }

    fn save(&mut self) -> Result<(), Problem> {
        self.report.totals = self.totals();
        let planned = self.plan.images.iter().zip(&self.records);
        self.report.images = planned
            // An image that was not reached keeps its earlier record for the next --resume.
            .filter_map(|(image, record)| {
                record
                    .clone()
                    .or_else(|| self.earlier.carried(&image.mesh()))
            })
            .chain(self.unreadable.iter().cloned())
            .collect();
        self.report.write(self.folder)
    }

    fn totals(&self) -> Totals {
        let done = || self.records.iter().flatten().chain(&self.unreadable);
        let having = |status| done().filter(|record| record.status == status).count();
        Totals {
            images: self.records.len() + self.unreadable.len(),
            ok: having(Status::Ok),
            failed: having(Status::Failed),
            skipped: having(Status::Skipped),
            not_run: self
                .records
                .iter()
                .filter(|record| record.is_none())
                .count(),
            milliseconds: self.start.elapsed().as_millis() as u64,
        }
    }
}
