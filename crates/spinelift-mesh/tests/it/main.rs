//! Integration tests of the library.
#![allow(clippy::unwrap_used)]

mod expected;
mod goldens;
mod images;
mod limits;
mod observer;
mod properties;
