//! The formats that a mesh is written in.

use crate::failure::Problem;
use crate::recipe::json;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use spinelift_mesh::export::{self, ExportError, Format, Sprite};
use spinelift_mesh::{Limits, Mesh, Shape};
use std::ffi::OsStr;
use std::path::Path;

/// Endings that say what is in a file: those of our formats, and those of their like.
const ENDINGS: [&str; 12] = [
    "json", "svg", "png", "obj", "glb", "gltf", "tscn", "scn", "skel", "jpg", "jpeg", "webp",
];

/// What a mesh is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    /// The result JSON.
    Json,
    Other(Format),
}

/// A file that a format writes.
pub(crate) struct Written {
    /// Its name, if it is another than the user chooses.
    pub(crate) own_name: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

impl OutputFormat {
    pub(crate) const JSON: &str = "json";

    /// Takes the name of a format.
    pub(crate) fn parser() -> impl TypedValueParser<Value = Self> {
        let names = Format::ALL.into_iter().map(Format::name);
        PossibleValuesParser::new(std::iter::once(Self::JSON).chain(names))
            .map(|name| Format::named(&name).map_or(OutputFormat::Json, OutputFormat::Other))
    }

    /// What is wrong with writing this format to a file of that name, if its ending is that of
    /// another format.
    pub(crate) fn contradicts(self, path: &Path) -> Option<String> {
        let extension = match self {
            OutputFormat::Json => Self::JSON,
            OutputFormat::Other(format) => format.extension(),
        };
        let usual = extension.rsplit('.').next()?;
        let found = path.extension()?.to_str()?.to_ascii_lowercase();
        let is_other = found != usual && ENDINGS.contains(&&*found);
        is_other.then(|| {
            let name = match self {
                OutputFormat::Json => Self::JSON,
                OutputFormat::Other(format) => format.name(),
            };
            format!(
                "{} is written as --format {name}, whose files end in .{usual}; programs may not \
                 read it as .{found}",
                path.display()
            )
        })
    }

    /// What the file is called that goes with the mesh of an image, if one does.
    pub(crate) fn material_file(self, path: &Path) -> Option<String> {
        let is_needed = self == OutputFormat::Other(Format::Obj);
        is_needed.then(|| export::material_file(&text(path.file_name())))
    }

    /// Writes the mesh of an image, first the mesh, then what goes with it. The path is where formats
    /// are to look for the image: Godot from the root of the project, all others beside them.
    pub(crate) fn write(
        self,
        path: &Path,
        image: &[u8],
        mesh: &Mesh,
        limits: &Limits,
    ) -> Result<Vec<Written>, Problem> {
        let format = match self {
            OutputFormat::Json => return Ok(vec![Written::chosen(json(mesh))]),
            OutputFormat::Other(format) => format,
        };
        let name = text(path.file_stem());
        let texture = match format {
            Format::Godot => text(Some(path.as_os_str())),
            _ => text(path.file_name()),
        };
        let shape = Shape::from(mesh);
        let sprite = Sprite {
            name: &name,
            texture: &texture,
            shape: &shape,
        };
        let mesh = export::write(format, &sprite, Some(image), limits)?;
        let mut files = vec![Written::chosen(mesh)];
        if let Some(name) = self.material_file(path) {
            files.push(Written {
                own_name: Some(name),
                bytes: export::material(&sprite),
            });
        }
        Ok(files)
    }
}

/// A part of a path; standard input has none.
fn text(part: Option<&OsStr>) -> String {
    match part {
        Some(part) if part != "-" => part.to_string_lossy().into_owned(),
        _ => "mesh".to_owned(),
    }
}

impl Written {
    fn chosen(bytes: Vec<u8>) -> Self {
        Written {
            own_name: None,
            bytes,
        }
    }
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        let advice = match &error {
            ExportError::TooManyVertices { .. } => {
                "Make a coarser mesh, with fewer vertices inside."
            }
            ExportError::PageTooSmall { .. } => "Allow for larger pages with --atlas-size.",
            ExportError::OtherImage { .. } => "Name the image that the mesh was made of.",
            _ => "Check that the image is whole, and save it again.",
        };
        Problem::new("EXPORT_FAILED", error.to_string(), advice)
    }
}
