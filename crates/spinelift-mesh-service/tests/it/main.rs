//! The service as its clients see it: real sockets, a real image server and receiver of
//! callbacks, a real database file.
#![allow(clippy::unwrap_used)]

mod address;
mod api;
mod auth;
mod batches;
mod callbacks;
mod connections;
mod control;
mod deliveries;
mod description;
mod documents;
mod downloads;
mod engine;
mod events;
mod exports;
mod harness;
mod headers;
mod health;
mod idempotency;
mod jobs;
mod log;
mod metrics;
mod nodes;
mod pages;
mod parameters;
mod restart;
mod s3;
mod ssrf;
mod start;
mod upload;
mod validation;
mod wait;
