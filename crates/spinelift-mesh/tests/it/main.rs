//! Integration tests of the library.
#![allow(clippy::unwrap_used)]

mod cover;
mod drawing;
mod expected;
mod exports;
mod goldens;
mod images;
mod inspection;
mod limits;
mod memory;
mod observer;
mod presets;
mod properties;
mod webp;
