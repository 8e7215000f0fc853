//! `spinelift-mesh batch`: many images, all cores, and a report.

mod plan;
mod progress;
mod report;
mod run;

use crate::cli::BatchArgs;
use crate::console::{Console, count, duration};
use crate::failure::{Failure, Problem};
use crate::interrupt::Interrupt;
use crate::recipe::Recipe;
use plan::Plan;
use progress::Progress;
use report::{Earlier, FILE_NAME, NothingToResume, Record, Report, Status, Totals};
use run::Run;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// A crash loses the report of this long at most.
const SAVE_EVERY: Duration = Duration::from_secs(2);

pub(crate) fn run(args: BatchArgs, console: &mut Console) -> Result<(), Failure> {
    let start = Instant::now();
    let recipe = Recipe::read(args.parameters, &args.limits, console)?;
    let plan = Plan::new(&args.inputs, &args.output)?;
    let folder = args.output.as_path();
    fs::create_dir_all(folder)
        .map_err(|error| Problem::writing(&folder.join(FILE_NAME), &error))?;
    let mut report = Report::new(&recipe);
    let earlier = match args.resume.then(|| Earlier::read(folder, &report)) {
        None => Earlier::default(),
        Some(Ok(earlier)) => earlier,
        Some(Err(reason)) => {
            match reason {
                NothingToResume::NoReport => console.note(format_args!("{reason}")),
                _ => console.warning(format_args!("{reason}: every image is done again")),
            }
            Earlier::default()
        }
    };
    let interrupt = Interrupt::install().map_err(|error| {
        Problem::new(
            "SIGNALS",
            format!("cannot handle signals: {error}"),
            "Run it again.",
        )
    })?;
    let jobs = args.jobs.or_else(|| thread::available_parallelism().ok());
    let jobs = jobs.unwrap_or(NonZeroUsize::MIN);

    let total = plan.images.len() + plan.unreadable.len();
    let mut records: Vec<Option<Record>> = vec![None; plan.images.len()];
    let mut progress = Progress::new(total, console);
    let unreadable: Vec<_> = plan
        .unreadable
        .iter()
        .map(|(path, problem)| Record::failed(path, problem, 0.0))
        .collect();
    for record in &unreadable {
        progress.tell(record, console);
    }
    // Written before any work, so that a place that takes no report is known at once.
    let collect = |report: &mut Report, records: &[Option<Record>]| {
        report.collect(&plan, records, &unreadable, &earlier, start);
        report.write(folder)
    };
    report.interrupted = true;
    collect(&mut report, &records)?;

    let mut saved = Instant::now();
    let mut saving = Duration::ZERO;
    let run = Run {
        plan: &plan,
        recipe: &recipe,
        earlier: &earlier,
        folder,
        preview: args.preview,
        interrupt: &interrupt,
    };
    let work = run.work(jobs, |index, record| {
        progress.tell(&record, console);
        records[index] = Some(record);
        // A report of very many images takes its time; most of it is for the images.
        if saved.elapsed() > SAVE_EVERY.max(saving * 20) && !interrupt.requested() {
            let before = Instant::now();
            // What keeps it from being written is told at the end.
            let _ = collect(&mut report, &records);
            saved = Instant::now();
            saving = saved - before;
        }
    });
    progress.end();
    report.interrupted = interrupt.requested();
    collect(&mut report, &records)?;
    interrupt.release();
    work.map_err(|error| {
        Problem::new(
            "THREADS",
            format!("cannot start a thread: {error}"),
            "Raise the limit on processes (ulimit -u), or stop other programs.",
        )
    })?;

    summary(&report, folder, start.elapsed(), console);
    interrupt.check()?;
    if report.totals.failed > 0 {
        Err(Failure::Reported)
    } else {
        Ok(())
    }
}

impl Report {
    /// Brings the report up to date.
    fn collect(
        &mut self,
        plan: &Plan,
        records: &[Option<Record>],
        unreadable: &[Record],
        earlier: &Earlier,
        start: Instant,
    ) {
        let planned = plan.images.iter().zip(records);
        self.images = planned
            // An image that was not reached keeps its earlier record for the next --resume.
            .filter_map(|(image, record)| record.clone().or_else(|| earlier.carried(&image.mesh())))
            .chain(unreadable.iter().cloned())
            .collect();
        let done = || records.iter().flatten().chain(unreadable);
        let having = |status| done().filter(|record| record.status == status).count();
        self.totals = Totals {
            images: records.len() + unreadable.len(),
            ok: having(Status::Ok),
            failed: having(Status::Failed),
            skipped: having(Status::Skipped),
            not_run: records.iter().filter(|record| record.is_none()).count(),
            milliseconds: start.elapsed().as_millis() as u64,
        };
    }
}

fn summary(report: &Report, folder: &Path, taken: Duration, console: &mut Console) {
    let Totals {
        images,
        ok,
        failed,
        skipped,
        not_run,
        ..
    } = report.totals;
    // On a terminal these lines have scrolled away among others, or were never shown.
    const SHOWN: usize = 20;
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
        console.error(
            &error.code,
            format_args!("{about}{}", error.message),
            &error.advice,
        );
    }
    if failed > SHOWN {
        console.note(format_args!("… and {} more that failed", failed - SHOWN));
    }
    let mut parts = vec![format!("{ok} done")];
    for (number, what) in [
        (failed, "failed"),
        (skipped, "skipped"),
        (not_run, "not reached"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    console.note(format_args!(
        "{}: {} in {}",
        count(images, "image", "images"),
        parts.join(", "),
        duration(taken),
    ));
    console.note(format_args!("report: {}", folder.join(FILE_NAME).display()));
    if failed + not_run > 0 {
        console.hint("with --resume and the same parameters, only what is missing is done again");
    }
}
