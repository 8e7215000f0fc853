//! Which files are those of a skeleton.

use crate::batch::plan::{Plan, PlannedImage};
use crate::export::OutputFormat;
use crate::failure::{Failure, Problem};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Whether a skeleton of this name may write a file of that name, with however many pages.
fn has(skeleton: &str, file: &str) -> bool {
    let rest = file.strip_prefix(skeleton);
    matches!(rest, Some(".json" | ".atlas")) || is_page(skeleton, file)
}

/// `hero.png`, `hero-2.png`, `hero-3.png` and so on.
fn is_page(skeleton: &str, file: &str) -> bool {
    let page = file.strip_suffix(".png");
    match page.and_then(|page| page.strip_prefix(skeleton)) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('-').is_some_and(|number| {
            number
                .parse::<usize>()
                .is_ok_and(|parsed| parsed > 1 && parsed.to_string() == number)
        }),
        None => false,
    }
}

/// No file of the skeleton may take the place of a result of the same run, nor of an image.
pub(super) fn check(
    skeleton: &str,
    plan: &Plan,
    formats: &[OutputFormat],
    folder: &Path,
) -> Result<(), Failure> {
    // Some file systems tell names apart by their letters alone.
    let skeleton_there = skeleton.to_lowercase();
    let is_clash = |file: &Path| has(&skeleton_there, &file.to_string_lossy().to_lowercase());
    let output = fs::canonicalize(folder).ok();
    let refused = |file: &Path, what: &str, image: &PlannedImage| {
        Err(Failure::Usage(format!(
            "--skeleton={skeleton} would overwrite {}, {what} {}; \
             choose another name, as in --skeleton=hero",
            folder.join(file).display(),
            image.input.display()
        )))
    };
    for image in &plan.images {
        let exports = formats.iter().flat_map(|format| image.exports(*format));
        let mut results = std::iter::once(image.mesh()).chain(exports);
        if let Some(result) = results.find(|result| is_clash(result)) {
            return refused(&result, "which is made of", image);
        }
        let source = fs::canonicalize(&image.input).ok();
        let beside = source
            .as_deref()
            .filter(|path| path.parent() == output.as_deref());
        if let Some(name) = beside.and_then(Path::file_name).map(Path::new)
            && is_clash(name)
        {
            return refused(name, "the image", image);
        }
    }
    Ok(())
}

/// The pages of a skeleton that is there already, by its atlas. Whoever else wrote that, only files
/// that are called like pages of this skeleton count.
pub(super) fn pages(skeleton: &str, atlas: &Path) -> Vec<PathBuf> {
    let text = match atlas.is_file() {
        true => fs::read_to_string(atlas).unwrap_or_default(),
        false => String::new(),
    };
    // A page begins the file, or comes after an empty line.
    let before = std::iter::once("").chain(text.lines());
    before
        .zip(text.lines())
        .filter(|(before, line)| before.is_empty() && is_page(skeleton, line))
        .map(|(_, page)| atlas.with_file_name(page))
        .collect()
}

/// Removes pages that no atlas names any more.
pub(super) fn remove(pages: impl Iterator<Item = PathBuf>) -> Result<(), Problem> {
    for page in pages {
        match fs::remove_file(&page) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Problem::new(
                    "OUTPUT_NOT_WRITABLE",
                    format!(
                        "cannot remove {}, a page of before: {error}",
                        page.display()
                    ),
                    "Remove it: the atlas has no such page any more.",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_skeleton_are_known_by_their_names() {
        for file in [
            "hero.json",
            "hero.atlas",
            "hero.png",
            "hero-2.png",
            "hero-10.png",
        ] {
            assert!(has("hero", file), "{file}");
        }
        for file in [
            "hero-1.png",
            "hero-02.png",
            "hero-+2.png",
            "hero-2.json",
            "hero-a.png",
            "heron.png",
            "hero",
            "sub/hero.png",
            "hero.png.mesh.json",
        ] {
            assert!(!has("hero", file), "{file}");
        }
    }

    #[test]
    fn pages_are_read_out_of_an_atlas() {
        let folder = tempfile::tempdir().expect("a folder");
        let atlas = folder.path().join("hero.atlas");
        assert_eq!(pages("hero", &atlas), Vec::<PathBuf>::new());
        let text = "\nhero.png\nsize: 1, 1\nhero-3.png\nbounds: 0, 0, 1, 1\n\n\
                    hero-2.png\nsize: 1, 1\n\n../hero.png\n\nother.png\n";
        fs::write(&atlas, text).expect("written");
        let expected = ["hero.png", "hero-2.png"].map(|page| folder.path().join(page));
        assert_eq!(pages("hero", &atlas), expected);
    }
}
