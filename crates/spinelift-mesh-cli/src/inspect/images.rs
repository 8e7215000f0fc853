//! Which image a mesh of a skeleton shows.

use crate::failure::Problem;
use spinelift_mesh::import::SpineMesh;
use std::fs;
use std::path::{Path, PathBuf};

/// What an image may be called, first what is looked for first.
const EXTENSIONS: [&str; 4] = ["png", "webp", "jpg", "jpeg"];

/// Looks in the folder that has the images of the skeleton.
pub(super) fn find(mesh: &SpineMesh, folder: &Path) -> Result<PathBuf, Problem> {
    let with = |extension: &str| folder.join(format!("{}.{extension}", mesh.path));
    let usual = EXTENSIONS.into_iter().map(with).find(|path| path.is_file());
    let path = folder.join(&mesh.path);
    usual
        .or_else(|| in_any_case(&path))
        // The name has the extension where two images differ by that alone.
        .or_else(|| path.is_file().then(|| path.clone()))
        .ok_or_else(|| {
            Problem::new(
                "INPUT_NOT_READABLE",
                format!(
                    "there is no image {} for the mesh {}",
                    with("png").display(),
                    mesh.name
                ),
                "Name the folder of images that the skeleton is made for.",
            )
        })
}

/// The path with an extension in capitals, such as `PNG` or `Jpg`.
fn in_any_case(path: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(path.parent()?).ok()?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let ranked = paths.filter_map(|found| {
        let extension = found.extension()?;
        let mut known = EXTENSIONS.iter();
        let rank = known.position(|known| extension.eq_ignore_ascii_case(known))?;
        (found.file_stem() == path.file_name() && found.is_file()).then_some((rank, found))
    });
    ranked.min().map(|(_, found)| found)
}
