//! One Spine skeleton of all meshes of a batch, with its atlas.

mod files;

use super::plan::Plan;
use super::report::{FILE_NAME, Record, Report};
use super::run::Run;
use crate::cli::{BatchArgs, SkeletonArgs};
use crate::export::OutputFormat;
use crate::failure::{Failure, Problem};
use crate::generate::read_image;
use crate::output::Staged;
use spinelift_mesh::Shape;
use spinelift_mesh::export::atlas::{Packed, pack};
use spinelift_mesh::export::spine::skeleton;
use spinelift_mesh::export::{ExportError, Sprite, unique_names};
use spinelift_mesh::import::Document;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of images beside a skeleton, as the editor suggests it.
const IMAGES: &str = "./images/";

/// What must hold before there is any work.
pub(super) fn check(args: &BatchArgs) -> Result<(), Failure> {
    let Some(name) = &args.skeleton.skeleton else {
        return Ok(());
    };
    if let Some(meant) = args.inputs.iter().find(|input| is_name(input))
        && name == SkeletonArgs::DEFAULT_NAME
    {
        let meant = meant.display();
        return Err(Failure::Usage(format!(
            "there is no file {meant}; if the skeleton is to be called that, \
             write --skeleton={meant}, without a space"
        )));
    }
    let is_plain = name.trim() == name && !name.contains(['/', '\\', ':']);
    if name.is_empty()
        || !is_plain
        || name.contains(char::is_control)
        || FILE_NAME.eq_ignore_ascii_case(&format!("{name}.json"))
    {
        return Err(Failure::Usage(format!(
            "--skeleton={name} is no name for its files; another one, as in --skeleton=hero, is"
        )));
    }
    let output = fs::canonicalize(&args.output).ok();
    let is_searched = |input: &PathBuf| {
        output.is_some() && input.is_dir() && fs::canonicalize(input).ok() == output
    };
    match args.inputs.iter().any(is_searched) {
        true => Err(Failure::Usage(
            "with --skeleton, -o must be another folder than the images are searched in: \
             the pages of the atlas are images too"
                .to_owned(),
        )),
        false => Ok(()),
    }
}

/// Whether an input may be the name of the skeleton, which a space has put among the inputs.
fn is_name(input: &Path) -> bool {
    input.components().count() == 1 && input.extension().is_none() && !input.exists()
}

/// What must hold of the images that were found, before any of them is worked on.
pub(super) fn check_files(
    args: &SkeletonArgs,
    plan: &Plan,
    formats: &[OutputFormat],
    folder: &Path,
) -> Result<(), Failure> {
    match &args.skeleton {
        Some(name) => files::check(name, plan, formats, folder),
        None => Ok(()),
    }
}

/// Writes it, if it is asked for and there is a mesh, and returns the files.
pub(super) fn write(
    args: &SkeletonArgs,
    run: &Run<'_>,
    report: &Report,
) -> Result<Vec<PathBuf>, Problem> {
    let Some(name) = &args.skeleton else {
        return Ok(Vec::new());
    };
    let made: Vec<Member> = report
        .images
        .iter()
        .take_while(|_| !run.interrupt.requested())
        .filter_map(|record| Member::of(record, run))
        .collect::<Result<_, _>>()?;
    let places: Vec<String> = made.iter().map(|member| member.place.clone()).collect();
    let names = unique_names(&places);
    let sprites: Vec<Sprite<'_>> = names
        .iter()
        .zip(&made)
        .map(|(name, member)| Sprite {
            name,
            texture: &member.place,
            shape: &member.shape,
        })
        .collect();
    let mut images = Vec::with_capacity(made.len());
    for (sprite, member) in sprites.iter().zip(&made) {
        if run.interrupt.requested() {
            break;
        }
        let image = read_image(Path::new(&member.input))?;
        let packed = Packed::new(sprite, &image, &run.recipe.limits)
            .map_err(|error| Problem::from(error).about(&member.input))?;
        images.push(packed);
    }
    // A part of a skeleton is none.
    if run.interrupt.requested() || report.is_cut_short() || made.is_empty() {
        return Ok(Vec::new());
    }
    let version = args.spine_version;
    let atlas = pack(name, &images, &args.layout(), version)
        .map_err(|error| page_too_small(args, error))?;
    let json = skeleton(&sprites, version, IMAGES)?;
    // What refers to others comes after them.
    let pages = atlas.pages.into_iter().map(|page| (page.file, page.png));
    let rest = [
        (format!("{name}.atlas"), atlas.text.into_bytes()),
        (format!("{name}.json"), json),
    ];
    let files: Vec<(PathBuf, Vec<u8>)> = pages
        .chain(rest)
        .map(|(file, bytes)| (run.folder.join(file), bytes))
        .collect();
    let mut before = files::pages(name, &run.folder.join(format!("{name}.atlas")));
    before.retain(|page| files.iter().all(|(file, _)| file != page));
    // All or nothing: a page of this run and the atlas of the one before would not fit together.
    let staged: Vec<Staged<'_>> = files
        .iter()
        .map(|(path, bytes)| Staged::new(path, bytes))
        .collect::<Result<_, _>>()?;
    staged.into_iter().try_for_each(Staged::place)?;
    files::remove(before.into_iter())?;
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn page_too_small(args: &SkeletonArgs, error: ExportError) -> Problem {
    let rounded = match error {
        ExportError::PageTooSmall {
            width,
            height,
            limit,
            ..
        } if limit < args.atlas_size => Some((limit, width.max(height).next_power_of_two())),
        _ => None,
    };
    let problem = Problem::from(error);
    let Some((limit, enough)) = rounded else {
        return problem;
    };
    let advice = format!(
        "--atlas-powers-of-two rounds --atlas-size {} down to {limit}: allow for {enough}, \
         or leave it out.",
        args.atlas_size
    );
    Problem { advice, ..problem }
}

/// An image whose mesh is there.
struct Member {
    input: String,
    /// Path of the image below the folder that holds all of them.
    place: String,
    shape: Shape,
}

impl Member {
    /// `None` for an image that failed.
    fn of(record: &Record, run: &Run<'_>) -> Option<Result<Self, Problem>> {
        let made = record.made.as_ref()?;
        Some(Member::read(record, &made.output, run))
    }

    fn read(record: &Record, output: &str, run: &Run<'_>) -> Result<Self, Problem> {
        let path = run.folder.join(output);
        let bytes = fs::read(&path).map_err(|error| Problem::reading(&path, &error))?;
        let broken = |reason: String| {
            Problem::new(
                "EXPORT_FAILED",
                format!("{}: {reason}", path.display()),
                "Run it again without --resume.",
            )
        };
        let shape = match Document::read(&bytes, &run.recipe.limits) {
            Ok(Document::Mesh(mesh)) => {
                let size = mesh.size.unwrap_or_default();
                mesh.shape(size)
                    .map_err(|error| broken(error.to_string()))?
            }
            Ok(Document::Spine(_)) => return Err(broken("it is a skeleton".to_owned())),
            Err(error) => return Err(broken(error.to_string())),
        };
        let place = output.strip_suffix(".mesh.json").unwrap_or(output);
        Ok(Member {
            input: record.input.clone(),
            place: place.to_owned(),
            shape,
        })
    }
}
