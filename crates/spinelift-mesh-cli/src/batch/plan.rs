//! Which images a batch works on, and where each result goes.

use crate::export::OutputFormat;
use crate::failure::Problem;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// What is taken from a folder; a file that is named is taken whatever it is called.
const EXTENSIONS: [&str; 4] = ["png", "webp", "jpg", "jpeg"];

#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) images: Vec<PlannedImage>,
    /// Folders, and entries of folders, that could not be read.
    pub(crate) unreadable: Vec<(PathBuf, Problem)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedImage {
    /// As the user would name it.
    pub(crate) input: PathBuf,
    /// Path of the result in the output folder, without `.mesh.json`. No two images share it.
    pub(crate) place: PathBuf,
}

impl PlannedImage {
    pub(crate) fn mesh(&self) -> PathBuf {
        self.with_suffix(".mesh.json")
    }

    pub(crate) fn preview(&self) -> PathBuf {
        self.with_suffix(".mesh.svg")
    }

    /// Where the files of a format go, in the order in which they are written. None for what
    /// [`Self::mesh`] is already.
    pub(crate) fn exports(&self, format: OutputFormat) -> Vec<PathBuf> {
        let OutputFormat::Other(kind) = format else {
            return Vec::new();
        };
        let mesh = self.with_suffix(&format!(".{}", kind.extension()));
        let material = format.material_file(&self.place);
        let material = material.map(|name| mesh.with_file_name(name));
        std::iter::once(mesh).chain(material).collect()
    }

    fn with_suffix(&self, suffix: &str) -> PathBuf {
        let mut path = self.place.clone().into_os_string();
        path.push(suffix);
        path.into()
    }
}

/// Something named on the command line.
struct Named<'a> {
    given: &'a Path,
    /// The same place, absolute. A symbolic link keeps its own name.
    absolute: PathBuf,
    is_folder: bool,
}

impl Plan {
    /// Looks for images; `output` is not searched.
    pub(crate) fn new(inputs: &[PathBuf], output: &Path) -> Result<Self, Problem> {
        let named: Vec<_> = inputs.iter().map(|given| Named::new(given)).collect();
        if let [only] = &named[..]
            && let Err(error) = fs::metadata(only.given)
        {
            return Err(Problem::reading(only.given, &error));
        }
        let base = common_folder(&named);
        let output = resolve(output);
        let mut plan = Plan::default();
        let mut taken = HashSet::new();
        for named in &named {
            if named.is_folder {
                for entry in walk(&named.absolute, &output) {
                    match entry {
                        Ok(path) if taken.insert(path.clone()) => {
                            plan.add(&base, &path, named.shown(&path));
                        }
                        Ok(_) => {}
                        Err((path, error)) => {
                            let path = named.shown(&path);
                            let problem = Problem::reading(&path, &error);
                            plan.unreadable.push((path, problem));
                        }
                    }
                }
            } else if taken.insert(named.absolute.clone()) {
                plan.add(&base, &named.absolute, named.given.to_owned());
            }
        }
        if plan.images.is_empty() && plan.unreadable.is_empty() {
            let inputs: Vec<_> = inputs
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            return Err(Problem::new(
                "NO_IMAGES",
                format!("no images found in {}", inputs.join(", ")),
                format!(
                    "Folders are searched for files ending in .{}; name any other image itself.",
                    EXTENSIONS.join(", .")
                ),
            ));
        }
        Ok(plan)
    }

    fn add(&mut self, base: &Path, absolute: &Path, input: PathBuf) {
        let place = match absolute.strip_prefix(base) {
            Ok(place) => place.to_owned(),
            // Another drive of Windows.
            Err(_) => below_drive(absolute),
        };
        self.images.push(PlannedImage { input, place });
    }
}

impl<'a> Named<'a> {
    fn new(given: &'a Path) -> Self {
        Named {
            given,
            absolute: resolve(given),
            is_folder: given.is_dir(),
        }
    }

    /// A path found below, in the words of the user.
    fn shown(&self, found: &Path) -> PathBuf {
        match found.strip_prefix(&self.absolute) {
            Ok(rest) if rest == Path::new("") => self.given.to_owned(),
            Ok(rest) if self.given == Path::new(".") => rest.to_owned(),
            Ok(rest) => self.given.join(rest),
            Err(_) => found.to_owned(),
        }
    }
}

/// An absolute path without `.`, `..` and links, but for the last name.
fn resolve(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) => match fs::canonicalize(parent) {
            Ok(parent) => parent.join(name),
            Err(_) => absolute,
        },
        _ => fs::canonicalize(&absolute).unwrap_or(absolute),
    }
}

fn common_folder(named: &[Named<'_>]) -> PathBuf {
    let mut common: Option<PathBuf> = None;
    for named in named {
        let folder = match named.absolute.parent() {
            Some(parent) if !named.is_folder => parent,
            _ => &named.absolute,
        };
        common = Some(match common {
            None => folder.to_owned(),
            Some(common) => common
                .components()
                .zip(folder.components())
                .take_while(|(left, right)| left == right)
                .map(|(component, _)| component)
                .collect(),
        });
    }
    common.unwrap_or_default()
}

fn below_drive(absolute: &Path) -> PathBuf {
    absolute
        .components()
        .filter_map(|component| match component {
            Component::Prefix(prefix) => {
                let drive = prefix.as_os_str().to_string_lossy();
                Some(PathBuf::from(
                    drive.replace(|c: char| !c.is_alphanumeric(), ""),
                ))
            }
            Component::Normal(name) => Some(PathBuf::from(name)),
            _ => None,
        })
        .collect()
}

/// The images in a folder and its folders, in the order of their names. Links are followed, but
/// not in circles.
fn walk(
    folder: &Path,
    output: &Path,
) -> impl Iterator<Item = Result<PathBuf, (PathBuf, io::Error)>> {
    WalkDir::new(folder)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(move |entry| {
            entry.depth() == 0 || (!is_hidden(entry) && entry.path() != output)
        })
        .filter_map(|entry| match entry {
            Ok(entry) => (!entry.file_type().is_dir()
                && has_image_extension(entry.path())
                && !is_drawing(entry.path()))
            .then(|| Ok(entry.into_path())),
            Err(error) if error.loop_ancestor().is_some() => None,
            Err(error) => {
                let path = error.path().unwrap_or(Path::new("")).to_owned();
                // A link that leads nowhere matters only if it is called like an image.
                let is_link = fs::symlink_metadata(&path).is_ok_and(|link| link.is_symlink());
                if is_link && !has_image_extension(&path) {
                    return None;
                }
                Some(Err((path, error.into())))
            }
        })
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn has_image_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// A mesh drawn by an earlier run, if results stand beside the images.
fn is_drawing(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b".mesh.png")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn tree(files: &[&str]) -> TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
            fs::write(path, "").expect("written");
        }
        root
    }

    fn places(root: &TempDir, inputs: &[&str], output: &str) -> Vec<String> {
        let inputs: Vec<_> = inputs.iter().map(|input| root.path().join(input)).collect();
        let plan = Plan::new(&inputs, &root.path().join(output)).expect("there are images");
        assert!(plan.unreadable.is_empty(), "{:?}", plan.unreadable);
        let places = plan
            .images
            .iter()
            .map(|image| image.place.to_string_lossy());
        places.map(|place| place.replace('\\', "/")).collect()
    }

    #[test]
    fn a_folder_is_mirrored() {
        let root = tree(&[
            "a/x.png",
            "a/x.webp",
            "a/deep/er/Y.JPEG",
            "a/z.jpg",
            "a/note.txt",
        ]);
        assert_eq!(
            places(&root, &["a"], "out"),
            ["deep/er/Y.JPEG", "x.png", "x.webp", "z.jpg"]
        );
    }

    #[test]
    fn several_inputs_meet_at_their_common_folder() {
        let root = tree(&["a/x.png", "b/x.png", "b/c/picture", "d.png"]);
        assert_eq!(places(&root, &["a", "b"], "out"), ["a/x.png", "b/x.png"]);
        assert_eq!(
            places(&root, &["b/c/picture", "b"], "out"),
            ["c/picture", "x.png"]
        );
        assert_eq!(places(&root, &["d.png"], "out"), ["d.png"]);
        assert_eq!(
            places(&root, &["d.png", "a", "a/x.png", "a/../a"], "out"),
            ["d.png", "a/x.png"]
        );
    }

    #[test]
    fn hidden_files_and_the_output_are_not_searched() {
        let root = tree(&[
            "x.png",
            "._x.png",
            ".git/x.png",
            "out/x.png",
            "sub/out/x.png",
        ]);
        assert_eq!(places(&root, &[""], "out"), ["sub/out/x.png", "x.png"]);
        assert_eq!(
            places(&root, &["out"], "out"),
            ["x.png"],
            "unless it is named"
        );
    }

    #[test]
    fn no_image_is_an_error_that_names_the_folder() {
        let root = tree(&["a/note.txt"]);
        let folder = root.path().join("a");
        let problem = Plan::new(std::slice::from_ref(&folder), Path::new("out"))
            .expect_err("there is no image");
        assert_eq!(
            problem.message,
            format!("no images found in {}", folder.display())
        );
    }

    #[test]
    fn one_wrong_path_is_an_error_and_one_of_many_a_failed_image() {
        let root = tree(&["x.png"]);
        let missing = root.path().join("missing");
        let output = root.path().join("out");
        Plan::new(std::slice::from_ref(&missing), &output).expect_err("nothing to do");
        let plan = Plan::new(&[missing, root.path().join("x.png")], &output).expect("one image");
        assert_eq!(plan.images.len(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        use std::os::unix::fs::symlink;
        let root = tree(&["a/x.png", "b/y.png"]);
        symlink(root.path().join("a"), root.path().join("a/self")).expect("linked");
        symlink(root.path().join("b"), root.path().join("a/b")).expect("linked");
        symlink("nowhere", root.path().join("a/broken")).expect("linked");
        assert_eq!(places(&root, &["a"], "out"), ["b/y.png", "x.png"]);

        symlink("nowhere.png", root.path().join("a/broken.png")).expect("linked");
        let plan = Plan::new(&[root.path().join("a")], Path::new("out")).expect("images");
        assert_eq!(plan.unreadable.len(), 1);
    }
}
