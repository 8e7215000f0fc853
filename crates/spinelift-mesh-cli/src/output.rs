//! Files that are written whole or not at all.

use crate::failure::{Failure, Problem};
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// Where a result goes: a file, or standard output for `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    Stdout,
    File(PathBuf),
}

impl From<OsString> for Destination {
    fn from(path: OsString) -> Self {
        if path == "-" {
            Destination::Stdout
        } else {
            Destination::File(path.into())
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Stdout => f.write_str("-"),
            Destination::File(path) => path.display().fmt(f),
        }
    }
}

impl Destination {
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Destination::Stdout => write_stdout(bytes),
            Destination::File(path) => Ok(write_file(path, bytes)?),
        }
    }
}

/// Writes a file beside its place, then moves it there: it is seen whole or not at all, and an
/// older one stays as it was until then.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    Staged::new(path, bytes)?.place()
}

/// A file that is written and not yet in its place. Dropped, it leaves nothing behind.
pub(crate) struct Staged<'a> {
    /// As the user names it.
    path: PathBuf,
    /// What is replaced.
    target: PathBuf,
    content: Content<'a>,
}

enum Content<'a> {
    Aside(TempPath),
    /// For a device or a pipe, which cannot be replaced.
    Stream(&'a [u8]),
}

impl<'a> Staged<'a> {
    pub(crate) fn new(path: &Path, bytes: &'a [u8]) -> Result<Self, Problem> {
        // Behind a symbolic link is the file to be replaced; the link stays.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let content =
            Content::of(&target, bytes).map_err(|error| Problem::writing(path, &error))?;
        Ok(Staged {
            path: path.to_owned(),
            target,
            content,
        })
    }

    pub(crate) fn place(self) -> Result<(), Problem> {
        let placed = match self.content {
            Content::Aside(file) => file.persist(&self.target).map_err(io::Error::from),
            Content::Stream(bytes) => OpenOptions::new()
                .write(true)
                .open(&self.target)
                .and_then(|mut stream| stream.write_all(bytes)),
        };
        placed.map_err(|error| Problem::writing(&self.path, &error))
    }
}

impl<'a> Content<'a> {
    fn of(target: &Path, bytes: &'a [u8]) -> io::Result<Self> {
        let existing = fs::metadata(target).ok();
        match &existing {
            Some(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Some(metadata) if !metadata.is_file() => return Ok(Content::Stream(bytes)),
            _ => {}
        }
        let folder = match target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".spinelift-mesh-").suffix(".tmp");
        // Less the umask, as for any new file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        if let Some(metadata) = existing {
            file.as_file().set_permissions(metadata.permissions())?;
        }
        Ok(Content::Aside(file.into_temp_path()))
    }
}

pub(crate) fn write_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::OutputClosed),
        Err(error) => Err(Problem::writing(Path::new("standard output"), &error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mesh.json");
        for text in ["one", "two"] {
            write_file(&path, text.as_bytes()).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("readable"), text);
        }
        assert_eq!(names(folder.path()), ["mesh.json"]);
    }

    #[test]
    fn what_is_staged_is_seen_when_it_is_placed_and_leaves_nothing_otherwise() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mesh.json");
        write_file(&path, b"old").expect("written");
        let staged = Staged::new(&path, b"new").expect("written");
        assert_eq!(fs::read(&path).expect("readable"), b"old");
        drop(staged);
        assert_eq!(names(folder.path()), ["mesh.json"]);
        let staged = Staged::new(&path, b"new").expect("written");
        staged.place().expect("placed");
        assert_eq!(fs::read(&path).expect("readable"), b"new");
        assert_eq!(names(folder.path()), ["mesh.json"]);
    }

    #[test]
    fn a_folder_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let problem = write_file(folder.path(), b"text").expect_err("it is a folder");
        assert!(
            problem.message.ends_with("it is a folder"),
            "{}",
            problem.message
        );
        assert!(names(folder.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_those_of_any_file_and_are_kept() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let plain = folder.path().join("plain");
        fs::write(&plain, "").expect("written");
        let path = folder.path().join("mesh.json");
        write_file(&path, b"new").expect("written");
        assert_eq!(mode(&path), mode(&plain));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
        write_file(&path, b"newer").expect("written");
        assert_eq!(mode(&path), 0o640);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        write_file(&link, b"new").expect("written");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read(&file).expect("readable"), b"new");
    }
}
