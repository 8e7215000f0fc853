//! The service as its clients see it: real sockets, a real image server and receiver of
//! callbacks, a real database file.
#![allow(clippy::unwrap_used)]

mod address;
mod api;
mod auth;
mod callbacks;
mod connections;
mod documents;
mod engine;
mod harness;
mod headers;
mod health;
mod idempotency;
mod jobs;
mod log;
mod metrics;
mod restart;
mod start;
mod validation;
