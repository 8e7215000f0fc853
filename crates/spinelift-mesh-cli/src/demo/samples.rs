//! The sprites that come with the program.

use crate::failure::Problem;
use crate::output::write_file;
use std::path::Path;

pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) bytes: &'static [u8],
}

macro_rules! samples {
    ($($name:literal,)*) => {
        &[$(Sample {
            name: $name,
            bytes: include_bytes!(concat!("../../../../assets/samples/", $name)),
        },)*]
    };
}

/// The first one is shown.
pub(super) const SAMPLES: &[Sample] = samples![
    "rocket.png",
    "autumn-tree.png",
    "crawfish.png",
    "horse.png",
    "orange-fish.png",
    "police-officer.png",
    "sailboat.png",
    "teddy-bear.png",
];

pub(super) fn save_all(folder: &Path) -> Result<(), Problem> {
    std::fs::create_dir_all(folder).map_err(|error| Problem::writing(folder, &error))?;
    SAMPLES
        .iter()
        .try_for_each(|sample| write_file(&folder.join(sample.name), sample.bytes))
}
