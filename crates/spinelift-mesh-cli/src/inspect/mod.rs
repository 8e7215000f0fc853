//! `spinelift-mesh inspect`: how good a mesh is, whoever made it.

mod images;
mod table;

use crate::cli::InspectArgs;
use crate::console::Console;
use crate::failure::{Failure, Problem};
use crate::generate::{Source, read_image};
use crate::output::write_stdout;
use serde::Serialize;
use spinelift_mesh::image::ImageHeader;
use spinelift_mesh::import::{Document, ResultMesh, SpineMesh};
use spinelift_mesh::quality::Quality;
use spinelift_mesh::shape::ShapeError;
use spinelift_mesh::{Limits, MeshError, Shape};
use std::ffi::OsStr;
use std::path::Path;

/// What is known of one mesh.
#[derive(Debug, Serialize)]
struct Report {
    /// Of an attachment.
    #[serde(skip_serializing_if = "Option::is_none")]
    attachment: Option<Attachment>,
    image: String,
    width: u32,
    height: u32,
    quality: Quality,
}

#[derive(Debug, Serialize)]
struct Attachment {
    skin: String,
    slot: String,
    name: String,
}

pub(crate) fn run(args: &InspectArgs, console: &mut Console) -> Result<(), Failure> {
    let limits = args.limits.limits();
    if args.mesh.is_dir() {
        return Err(a_folder(
            &args.mesh,
            "Name the JSON of a mesh, or of a Spine skeleton.",
        )
        .into());
    }
    let source = Source::from(args.mesh.clone());
    let document = Document::read(&source.read()?, &limits).map_err(|error| {
        Problem::new(
            "MESH_NOT_READABLE",
            format!("{}: {error}", source.name()),
            "Name the JSON of a mesh, or of a Spine skeleton (not its binary form).",
        )
    })?;
    let measured = match document {
        Document::Mesh(mesh) => vec![inspect_mesh(args, &source.name(), &mesh, &limits)?],
        Document::Spine(meshes) => inspect_skeleton(args, &source.name(), &meshes, &limits)?,
    };
    let mut reports = Vec::with_capacity(measured.len());
    let mut is_whole = true;
    for report in measured {
        match report {
            Ok(report) => reports.push(report),
            Err(problem) => {
                console.error(problem.code, &problem.message, &problem.advice);
                is_whole = false;
            }
        }
    }
    if !reports.is_empty() {
        let text = match args.json {
            true => json(&reports),
            false => table::of(&reports),
        };
        write_stdout(text.as_bytes())?;
    }
    match is_whole {
        true => Ok(()),
        false => Err(Failure::Reported),
    }
}

fn a_folder(path: &Path, advice: &str) -> Problem {
    let message = format!("{} is a folder, not a file", path.display());
    Problem::new("INPUT_NOT_READABLE", message, advice)
}

fn json(reports: &[Report]) -> String {
    let json = serde_json::to_string_pretty(reports)
        .unwrap_or_else(|_| unreachable!("numbers and strings always serialize"));
    json + "\n"
}

fn inspect_mesh(
    args: &InspectArgs,
    file: &str,
    mesh: &ResultMesh,
    limits: &Limits,
) -> Result<Result<Report, Problem>, Failure> {
    if let Some(name) = &args.attachment {
        return Err(Failure::Usage(format!(
            "{file} has no attachments, so --attachment {name} names none"
        )));
    }
    if args.image.is_dir() {
        let advice = "It is one mesh: name the image that it was made of.";
        return Err(a_folder(&args.image, advice).into());
    }
    let of = Of {
        attachment: None,
        size: mesh.size,
        tolerance: 0,
    };
    Ok(measure(&args.image, of, limits, |size| mesh.shape(size)))
}

/// What is found of each mesh that is meant; one that cannot be measured does not keep the others
/// from it.
fn inspect_skeleton(
    args: &InspectArgs,
    file: &str,
    meshes: &[SpineMesh],
    limits: &Limits,
) -> Result<Vec<Result<Report, Problem>>, Failure> {
    let meant = meant(args, meshes);
    if meant.is_empty() {
        return Err(none_meant(args, file, meshes).into());
    }
    let inspect = |mesh: &SpineMesh| {
        let image = match args.image.is_dir() {
            true => images::find(mesh, &args.image)?,
            false => args.image.clone(),
        };
        let of = Of {
            attachment: Some(Attachment {
                skin: mesh.skin.clone(),
                slot: mesh.slot.clone(),
                name: mesh.name.clone(),
            }),
            size: mesh.size,
            tolerance: 1,
        };
        measure(&image, of, limits, |size| mesh.shape(size))
    };
    Ok(meant.into_iter().map(inspect).collect())
}

fn meant<'a>(args: &InspectArgs, meshes: &'a [SpineMesh]) -> Vec<&'a SpineMesh> {
    if let Some(name) = &args.attachment {
        return meshes.iter().filter(|mesh| mesh.name == *name).collect();
    }
    if args.image.is_dir() || meshes.len() == 1 {
        return meshes.iter().collect();
    }
    let called = |name: Option<&OsStr>| -> Vec<&SpineMesh> {
        let name = name.map(OsStr::to_string_lossy);
        let is_called = |mesh: &&SpineMesh| mesh.path.rsplit('/').next() == name.as_deref();
        meshes.iter().filter(is_called).collect()
    };
    // Where images differ by their extensions alone, these are part of the names.
    match called(args.image.file_stem()) {
        none if none.is_empty() => called(args.image.file_name()),
        some => some,
    }
}

fn none_meant(args: &InspectArgs, file: &str, meshes: &[SpineMesh]) -> Problem {
    let names: Vec<&str> = meshes.iter().map(|mesh| &*mesh.name).collect();
    let wanted = match &args.attachment {
        Some(name) => format!(" called {name}"),
        None if meshes.is_empty() => String::new(),
        None => format!(" of {}", args.image.display()),
    };
    let advice = match names.is_empty() {
        true => "Only mesh attachments have a mesh; images alone (regions) have none.".to_owned(),
        false => format!("Name one with --attachment: {}.", names.join(", ")),
    };
    Problem::new(
        "NO_SUCH_MESH",
        format!("{file} has no mesh{wanted}"),
        advice,
    )
}

/// What a file says of a mesh.
struct Of {
    attachment: Option<Attachment>,
    /// Of its image.
    size: Option<[u32; 2]>,
    /// Pixels that the size may be off, where it is rounded.
    tolerance: u32,
}

impl Of {
    fn check_size(&self, image: &str, found: [u32; 2]) -> Result<(), Problem> {
        let Some(size) = self.size else {
            return Ok(());
        };
        if (0..2).all(|axis| size[axis].abs_diff(found[axis]) <= self.tolerance) {
            return Ok(());
        }
        Err(Problem::new(
            "OTHER_IMAGE",
            format!(
                "the mesh is of an image of {} x {} pixels, and {image} has {} x {}",
                size[0], size[1], found[0], found[1]
            ),
            "Name the image that the mesh was made of.",
        ))
    }
}

fn measure(
    path: &Path,
    of: Of,
    limits: &Limits,
    shape: impl Fn([u32; 2]) -> Result<Shape, ShapeError>,
) -> Result<Report, Problem> {
    let name = path.display().to_string();
    let image = read_image(path)?;
    let about = |error: MeshError| Problem::from(error).about(&name);
    let header = ImageHeader::read(&image, limits).map_err(|error| about(error.into()))?;
    let size = [header.width, header.height];
    of.check_size(&name, size)?;
    let shape = shape(size).map_err(|error| {
        let message = format!("the mesh makes no sense: {error}");
        Problem::new("MESH_NOT_READABLE", message, "Export it again.")
    })?;
    Ok(Report {
        attachment: of.attachment,
        width: header.width,
        height: header.height,
        quality: shape.quality(&image, limits, &mut ()).map_err(about)?,
        image: name,
    })
}
