//! Runs the real binary, as a user would.
#![allow(clippy::unwrap_used)]

mod batch;
mod command;
mod demo;
mod exports;
#[cfg(target_os = "linux")]
mod faults;
mod generate;
mod health;
mod inspect;
#[cfg(unix)]
mod interrupt;
mod serve;
mod server;
mod sprites;
mod traces;
