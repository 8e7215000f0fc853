//! `spinelift-mesh inspect`: how good a mesh is, whoever made it.

mod table;

use crate::cli::InspectArgs;
use crate::failure::{Failure, Problem};
use crate::generate::{Source, read_image};
use crate::output::write_stdout;
use serde::Serialize;
use spinelift_mesh::image::ImageHeader;
use spinelift_mesh::import::{Document, SpineMesh};
use spinelift_mesh::quality::Quality;
use spinelift_mesh::shape::ShapeError;
use spinelift_mesh::{Limits, MeshError, Shape};
use std::path::{Path, PathBuf};

/// What an image of a skeleton may be called.
const EXTENSIONS: [&str; 4] = ["png", "webp", "jpg", "jpeg"];

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

pub(crate) fn run(args: &InspectArgs) -> Result<(), Failure> {
    let limits = args.limits.limits();
    let source = Source::from(args.mesh.clone());
    let document = Document::read(&source.read()?, &limits).map_err(|error| {
        Problem::new(
            "MESH_NOT_READABLE",
            format!("{}: {error}", source.name()),
            "Name the JSON of a mesh, or of a Spine skeleton (not its binary form).",
        )
    })?;
    let reports = match document {
        Document::Mesh(mesh) => {
            if let Some(name) = &args.attachment {
                let message = format!(
                    "{} has no attachments, so --attachment {name} names none",
                    source.name()
                );
                return Err(Failure::Usage(message));
            }
            let of = Of {
                attachment: None,
                size: mesh.size,
                tolerance: 0,
            };
            vec![measure(&args.image, of, &limits, |size| mesh.shape(size))?]
        }
        Document::Spine(meshes) => inspect_skeleton(args, &source.name(), &meshes, &limits)?,
    };
    let text = match args.json {
        true => json(&reports),
        false => table::of(&reports),
    };
    write_stdout(text.as_bytes())
}

fn json(reports: &[Report]) -> String {
    let json = serde_json::to_string_pretty(reports)
        .unwrap_or_else(|_| unreachable!("numbers and strings always serialize"));
    json + "\n"
}

fn inspect_skeleton(
    args: &InspectArgs,
    file: &str,
    meshes: &[SpineMesh],
    limits: &Limits,
) -> Result<Vec<Report>, Failure> {
    let is_folder = args.image.is_dir();
    let stem = args.image.file_stem().map(|stem| stem.to_string_lossy());
    let is_meant = |mesh: &&SpineMesh| match (&args.attachment, &stem) {
        (Some(name), _) => mesh.name == *name,
        (None, _) if is_folder || meshes.len() == 1 => true,
        (None, Some(stem)) => mesh.path.rsplit('/').next() == Some(stem),
        (None, None) => false,
    };
    let meant: Vec<_> = meshes.iter().filter(is_meant).collect();
    if meant.is_empty() {
        return Err(none_meant(args, file, meshes).into());
    }
    meant
        .into_iter()
        .map(|mesh| {
            let image = match is_folder {
                true => image_of(mesh, &args.image)?,
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
            measure(&image, of, limits, |size| mesh.shape(size)).map_err(Failure::from)
        })
        .collect()
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

fn image_of(mesh: &SpineMesh, folder: &Path) -> Result<PathBuf, Problem> {
    let with = |extension: &str| folder.join(format!("{}.{extension}", mesh.path));
    let found = EXTENSIONS.into_iter().map(with).find(|path| path.is_file());
    found.ok_or_else(|| {
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
