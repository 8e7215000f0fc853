//! Why a command failed: a code for programs, a sentence and what to do for people.

use serde_json::{Value, json};
use spinelift_mesh::MeshError;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Something that went wrong with one image or file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    /// Stable name for programs.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) advice: String,
    /// The numbers behind the message.
    pub(crate) details: Value,
}

/// The reason in the details of a [`Problem`].
pub(crate) const DISK_FULL: &str = "disk_full";

fn is_full(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Why the command ends without success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line makes no sense: exit code 2, as clap has it.
    Usage(String),
    /// Exit code 1.
    Problem(Problem),
    /// Said already, image by image: exit code 1.
    Reported,
    /// Stopped by a signal: exit code 128 + its number.
    Interrupted { exit_code: u8 },
    /// Whoever read our standard output has seen enough: no failure, and nothing to say.
    OutputClosed,
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Usage(_) => ExitCode::from(2),
            Failure::Problem(_) | Failure::Reported => ExitCode::FAILURE,
            Failure::Interrupted { exit_code } => ExitCode::from(*exit_code),
            Failure::OutputClosed => ExitCode::SUCCESS,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Failure::Problem(problem)
    }
}

impl From<MeshError> for Problem {
    fn from(error: MeshError) -> Self {
        Problem {
            code: error.code(),
            message: error.to_string(),
            advice: flags_by_name(error.advice()),
            details: error.details(),
        }
    }
}

/// The library names its limits as fields; here they are flags.
fn flags_by_name(advice: &str) -> String {
    [
        "max_image_dimension",
        "max_image_pixels",
        "max_decoder_memory",
        "max_mesh_vertices",
    ]
    .into_iter()
    .fold(advice.to_owned(), |advice, name| {
        advice.replace(name, &format!("--{}", name.replace('_', "-")))
    })
}

impl Problem {
    pub(crate) fn new(
        code: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Problem {
            code,
            message: message.into(),
            advice: advice.into(),
            details: json!({}),
        }
    }

    /// The same problem, told with the name of what it is about in front.
    pub(crate) fn about(mut self, name: &str) -> Self {
        self.message = format!("{name}: {}", self.message);
        self
    }

    /// Whether a file could not be written for want of space.
    pub(crate) fn is_full_disk(&self) -> bool {
        self.details["reason"] == DISK_FULL
    }

    /// A file that could not be read.
    pub(crate) fn reading(path: &Path, error: &io::Error) -> Self {
        let name = path.display();
        let (message, advice) = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => (
                format!("there is no file {name}"),
                match name.to_string().contains("://") {
                    true => format!("To read a URL: curl -s {name} | spinelift-mesh generate -"),
                    false => "Check the path.".to_owned(),
                },
            ),
            io::ErrorKind::IsADirectory => (
                format!("{name} is a folder, not a file"),
                format!("For all images in a folder: spinelift-mesh batch {name} -o OUT"),
            ),
            io::ErrorKind::PermissionDenied => (
                format!("no permission to read {name}"),
                "Give yourself permission to read it, or run as its owner.".to_owned(),
            ),
            _ => (
                format!("cannot read {name}: {error}"),
                "Check that the file is whole and its disk in order.".to_owned(),
            ),
        };
        Problem {
            details: json!({ "path": path.to_string_lossy(), "os_error": error.to_string() }),
            ..Problem::new("INPUT_NOT_READABLE", message, advice)
        }
    }

    /// A file that could not be written.
    pub(crate) fn writing(path: &Path, error: &io::Error) -> Self {
        let name = path.display();
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let folder = folder.display();
        let (message, advice) = match error.kind() {
            io::ErrorKind::NotFound => (
                format!("cannot write {name}: there is no folder {folder}"),
                format!("Create the folder first (mkdir -p {folder}), or name another one."),
            ),
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => (
                format!("cannot write {name}: {folder} is not a folder"),
                "Name another place to write to.".to_owned(),
            ),
            io::ErrorKind::IsADirectory => (
                format!("cannot write {name}: it is a folder"),
                "Name a file in it instead.".to_owned(),
            ),
            io::ErrorKind::ReadOnlyFilesystem => (
                format!("cannot write {name}: its disk can only be read (mounted read-only)"),
                "Name a place on another disk, or mount this one so that it can be written to."
                    .to_owned(),
            ),
            io::ErrorKind::PermissionDenied => (
                format!("cannot write {name}: no permission to write in {folder}"),
                "Give yourself permission to write there, or name another place.".to_owned(),
            ),
            kind if is_full(kind) => (
                format!("cannot write {name}: no space is left on its disk"),
                "Free some space, or name a place on another disk.".to_owned(),
            ),
            _ => (
                format!("cannot write {name}: {error}"),
                "Name another place to write to.".to_owned(),
            ),
        };
        let mut details = json!({ "path": path.to_string_lossy(), "os_error": error.to_string() });
        if is_full(error.kind()) {
            details["reason"] = DISK_FULL.into();
        }
        Problem {
            details,
            ..Problem::new("OUTPUT_NOT_WRITABLE", message, advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spinelift_mesh::error::ImageLoadError;

    #[test]
    fn advice_names_flags() {
        let error = MeshError::from(ImageLoadError::TooLarge {
            width: 5000,
            height: 1,
            limit: 4096,
        });
        let problem = Problem::from(error);
        assert!(
            problem.advice.contains("--max-image-dimension"),
            "{}",
            problem.advice
        );
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = io::Error::from(io::ErrorKind::NotFound);
        let problem = Problem::writing(Path::new("nowhere/mesh.json"), &error);
        assert!(
            problem.message.ends_with("there is no folder nowhere"),
            "{}",
            problem.message
        );
        let problem = Problem::writing(Path::new("mesh.json"), &error);
        assert!(
            problem.message.ends_with("there is no folder ."),
            "{}",
            problem.message
        );
    }

    #[test]
    fn a_disk_that_can_only_be_read_is_no_matter_of_permission() {
        let error = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        let problem = Problem::writing(Path::new("out/mesh.json"), &error);
        assert!(problem.message.contains("read-only"), "{}", problem.message);
        for text in [problem.message, problem.advice] {
            assert!(!text.contains("permission"), "{text}");
        }
    }
}
