//! Files and folders that nobody else on the machine can read: jobs hold URLs with credentials.
//! Elsewhere than on Unix they are as open as their folder is.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::Path;

/// Makes a folder, and those that it is in, as far as they are not there.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// How a file is opened that is made if it is not there.
pub(crate) fn creating() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes an empty file, if there is none.
pub(crate) fn create_file(path: &Path) -> io::Result<()> {
    creating().open(path).map(|_| ())
}

/// Whether other users can read a file: it and its folder let them.
pub(crate) fn is_open_to_others(path: &Path) -> bool {
    let lets = |path: &Path, bits| mode(path).is_some_and(|mode| mode & bits != 0);
    lets(path, 0o044) && path.parent().is_none_or(|folder| lets(folder, 0o011))
}

#[cfg(unix)]
fn mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| metadata.mode())
}

#[cfg(not(unix))]
fn mode(_path: &Path) -> Option<u32> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_made_is_private_and_what_was_there_is_judged() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let folder = directory.path().join("a/b");
        create_folder(&folder).expect("made");
        let file = folder.join("file");
        create_file(&file).expect("made");
        for (path, expected) in [(&folder, 0o700), (&file, 0o600)] {
            assert_eq!(mode(path).map(|mode| mode & 0o777), Some(expected));
        }
        let set = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode));
        set(&file, 0o644).expect("set");
        assert!(!is_open_to_others(&file), "its folder is closed");
        set(&folder, 0o755).expect("set");
        assert!(is_open_to_others(&file));
        create_file(&file).expect("there");
        assert!(is_open_to_others(&file), "left as it was");
        set(&file, 0o600).expect("set");
        assert!(!is_open_to_others(&file));
    }
}
