//! Integration tests of the library: golden results, properties, broken images.
#![allow(clippy::unwrap_used)]

mod expected;
mod goldens;
