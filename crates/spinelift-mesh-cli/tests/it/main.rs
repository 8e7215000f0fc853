//! Runs the real binary, as a user would.
#![allow(clippy::unwrap_used)]

mod batch;
mod command;
mod demo;
#[cfg(target_os = "linux")]
mod faults;
mod generate;
mod health;
#[cfg(unix)]
mod interrupt;
mod serve;
mod server;
mod sprites;
mod traces;
