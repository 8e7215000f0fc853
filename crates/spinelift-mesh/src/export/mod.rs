//! A mesh in the formats of other programs.

pub mod svg;
