//! What crashes left in a directory.

use super::place::{RESULTS, UPLOADS};
use crate::engine::{Owner, ResultObject};
use std::path::Path;
use std::time::SystemTime;

/// Removes what writes of this owner that a crash cut off have left: files that were staged before
/// `start` and never renamed. Best effort; a folder of very many files takes a while.
pub(crate) fn remove_leftovers(directory: &Path, owner: &Owner, start: SystemTime) {
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let results = entries(&directory.join(RESULTS)).map(|folder| folder.path());
    let uploads = directory.join(UPLOADS).join(owner.to_string());
    for folder in results.chain([uploads.clone()]) {
        for file in entries(&folder) {
            let name = file.file_name();
            let Some(staged) = name.to_str().and_then(staged) else {
                continue;
            };
            // Another service may be writing beside this one.
            let is_own = folder == uploads || is_result_of(staged, owner);
            let modified = || file.metadata().and_then(|metadata| metadata.modified());
            if is_own && modified().is_ok_and(|modified| modified < start) {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }
}

/// The name of the object that a file is staged for: the store stages `NAME` as `NAME#1` or the
/// like.
fn staged(file: &str) -> Option<&str> {
    file.rsplit_once('#').map(|(name, _)| name)
}

fn is_result_of(file: &str, owner: &Owner) -> bool {
    let object = file.strip_suffix(".json").and_then(ResultObject::parse);
    object.is_some_and(|object| object.is_of(owner))
}
