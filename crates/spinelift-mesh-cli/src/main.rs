//! The `spinelift-mesh` command.

mod batch;
mod cli;
mod client;
mod console;
mod demo;
mod export;
mod failure;
mod generate;
mod health;
mod inspect;
mod interrupt;
mod log;
mod measures;
mod output;
mod parameters;
mod recipe;
mod serve;

use clap::Parser;
use cli::{Cli, Command, ServeArgs};
use console::Console;
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    interrupt::outlive_file_size_limit();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            Console::new(false).failure(&failure);
            failure.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Some(Command::Generate(args)) => {
            let mut console = Console::new(args.quiet);
            generate::run(args, &mut console)
        }
        Some(Command::Batch(args)) => {
            let mut console = Console::new(args.quiet);
            batch::run(args, &mut console)
        }
        Some(Command::Inspect(args)) => inspect::run(&args, &mut Console::new(false)),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Health(args)) => health::run(&args),
        Some(Command::Demo(args)) => demo::run(args),
        None => serve::run(&ServeArgs::default()),
    }
}
