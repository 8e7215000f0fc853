//! `spinelift-mesh batch`: many images, all cores, and a report.

mod ledger;
mod plan;
mod progress;
mod report;
mod run;
mod skeleton;
mod summary;

use crate::cli::BatchArgs;
use crate::console::Console;
use crate::failure::{Failure, Problem};
use crate::interrupt::Interrupt;
use crate::recipe::Recipe;
use ledger::Ledger;
use plan::Plan;
use progress::Progress;
use report::{Earlier, FILE_NAME, NothingToResume, Report};
use run::Run;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;
use std::time::Instant;

pub(crate) fn run(args: BatchArgs, console: &mut Console) -> Result<(), Failure> {
    let start = Instant::now();
    skeleton::check(&args)?;
    let recipe = Recipe::read(args.parameters, &args.limits, console)?;
    let plan = Plan::new(&args.inputs, &args.output)?;
    skeleton::check_files(&args.skeleton, &plan, &args.format, &args.output)?;
    let folder = args.output.as_path();
    fs::create_dir_all(folder)
        .map_err(|error| Problem::writing(&folder.join(FILE_NAME), &error))?;
    let report = Report::new(&recipe);
    let earlier = match args.resume {
        true => earlier(folder, &report, console),
        false => Earlier::default(),
    };
    let interrupt = install_interrupt()?;
    let run = Run {
        plan: &plan,
        recipe: &recipe,
        earlier: &earlier,
        folder,
        preview: args.preview,
        formats: &args.format,
        interrupt: &interrupt,
    };
    let ledger = Ledger::open(folder, &plan, &earlier, report, start)?;
    let (report, saved) = work(&run, jobs(args.jobs), ledger, console)?;
    let skeleton = skeleton::write(&args.skeleton, &run, &report);
    interrupt.release();

    summary::tell(&report, folder, saved.is_ok(), start.elapsed(), console);
    saved?;
    interrupt.check()?;
    for file in skeleton? {
        console.note(format_args!("wrote {}", file.display()));
    }
    if report.totals.failed > 0 {
        Err(Failure::Reported)
    } else {
        Ok(())
    }
}

/// What the run before has done, as far as it is of use.
fn earlier(folder: &Path, current: &Report, console: &mut Console) -> Earlier {
    Earlier::read(folder, current).unwrap_or_else(|reason| {
        match reason {
            NothingToResume::NoReport => console.note(format_args!("{reason}")),
            _ => console.warning(format_args!("{reason}: every image is done again")),
        }
        Earlier::default()
    })
}

fn install_interrupt() -> Result<Interrupt, Problem> {
    Interrupt::install().map_err(|error| {
        let message = format!("cannot handle signals: {error}");
        Problem::new("SIGNALS", message, "Run it again.")
    })
}

/// As many as were asked for, else one for each core.
fn jobs(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    let cores = || thread::available_parallelism().ok();
    asked.or_else(cores).unwrap_or(NonZeroUsize::MIN)
}

/// Works on all images, showing and noting what becomes of them. Returns the last report, and
/// whether it could be written.
fn work(
    run: &Run<'_>,
    jobs: NonZeroUsize,
    mut ledger: Ledger<'_>,
    console: &mut Console,
) -> Result<(Report, Result<(), Problem>), Problem> {
    let total = run.plan.images.len() + run.plan.unreadable.len();
    let mut progress = Progress::new(total, console);
    for record in ledger.unreadable() {
        progress.tell(record, console);
    }
    let worked = run.work(jobs, |index, record| {
        progress.tell(&record, console);
        ledger.enter(index, record);
        if !run.interrupt.requested() {
            ledger.save_now_and_then();
        }
    });
    progress.end();
    let closed = ledger.close(run.interrupt.requested());
    worked.map_err(|error| {
        let message = format!("cannot start a thread: {error}");
        let advice = "Raise the limit on processes (ulimit -u), or stop other programs.";
        Problem::new("THREADS", message, advice)
    })?;
    Ok(closed)
}
