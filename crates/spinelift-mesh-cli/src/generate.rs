//! `spinelift-mesh generate`: one image, one mesh.

use crate::cli::GenerateArgs;
use crate::console::{Console, duration};
use crate::export::OutputFormat;
use crate::failure::{Failure, Problem};
use crate::interrupt::Interrupt;
use crate::measures::Measures;
use crate::output::Destination;
use crate::recipe::{Recipe, Unmade};
use spinelift_mesh::Shape;
use spinelift_mesh::export::svg;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// More than any image within the decoders' reach; an endless input ends here.
const MAX_IMAGE_BYTES: u64 = 1 << 30;

pub(crate) fn run(args: GenerateArgs, console: &mut Console) -> Result<(), Failure> {
    let source = Source::from(args.image);
    check_places(&source, &args.output, args.preview.as_ref())?;
    warn_of_format(args.format, &args.output, &source, console);
    let recipe = Recipe::read(args.parameters, &args.limits, console)?;
    let image = source.read()?;
    let interrupt = Interrupt::install().map_err(|error| {
        Problem::new(
            "SIGNALS",
            format!("cannot handle signals: {error}"),
            "Run it again.",
        )
    })?;

    let start = Instant::now();
    let mesh = recipe.make(&image, &interrupt);
    interrupt.check()?;
    let mesh = match mesh {
        Ok(mesh) => mesh,
        Err(Unmade::Problem(problem)) => return Err(problem.about(&source.name()).into()),
        Err(Unmade::Interrupted) => unreachable!("the interrupt has been checked"),
    };
    let taken = start.elapsed();

    // Standard output comes last: whoever reads it can rely on the files.
    let drawing = args.preview.map(|place| {
        (
            place,
            svg::preview(Some(&image), &Shape::from(&mesh)).into_bytes(),
        )
    });
    let written = args
        .format
        .write(source.file_name(), &image, &mesh, &recipe.limits)
        .map_err(|problem| problem.about(&source.name()))?;
    let mut outputs = Vec::with_capacity(3);
    for file in written {
        outputs.extend(place_of(file.own_name, &args.output).map(|place| (place, file.bytes)));
    }
    outputs.extend(drawing);
    outputs.sort_by_key(|(place, _)| *place == Destination::Stdout);
    for (place, bytes) in &outputs {
        interrupt.check()?;
        if *place == Destination::Stdout {
            interrupt.release();
        }
        place.write(bytes)?;
    }

    let metadata = &mesh.metadata;
    console.note(format_args!(
        "{}: {} × {} pixels, {}, {}",
        source.name(),
        metadata.width,
        metadata.height,
        Measures::of(&mesh),
        duration(taken),
    ));
    // The recipe's own have been told.
    for warning in &metadata.warnings[recipe.warnings.len()..] {
        console.warning(warning);
    }
    for (place, _) in &outputs {
        if let Destination::File(path) = place {
            console.note(format_args!("wrote {}", path.display()));
        }
    }
    Ok(())
}

/// Tells what will be written and may not be what is expected.
fn warn_of_format(
    format: OutputFormat,
    output: &Destination,
    source: &Source,
    console: &mut Console,
) {
    match output {
        Destination::File(path) => {
            if let Some(contradiction) = format.contradicts(path) {
                console.warning(contradiction);
            }
        }
        Destination::Stdout => {
            if let Some(material) = format.material_file(source.file_name()) {
                console.warning(format_args!(
                    "the OBJ names {material}, which is written beside a file alone: \
                     -o mesh.obj"
                ));
            }
        }
    }
}

/// What goes with a mesh stands beside it; beside standard output there is no place.
fn place_of(own_name: Option<String>, output: &Destination) -> Option<Destination> {
    match (own_name, output) {
        (None, output) => Some(output.clone()),
        (Some(name), Destination::File(path)) => Some(Destination::File(path.with_file_name(name))),
        (Some(_), Destination::Stdout) => None,
    }
}

/// Where the image comes from.
pub(crate) enum Source {
    Stdin,
    File(PathBuf),
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        if path == Path::new("-") {
            Source::Stdin
        } else {
            Source::File(path)
        }
    }
}

impl Source {
    /// What formats look for beside them.
    fn file_name(&self) -> &Path {
        match self {
            Source::Stdin => Path::new("-"),
            Source::File(path) => path.file_name().map_or(path, Path::new),
        }
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Source::Stdin => "standard input".to_owned(),
            Source::File(path) => path.display().to_string(),
        }
    }

    pub(crate) fn read(&self) -> Result<Vec<u8>, Problem> {
        match self {
            Source::Stdin => read_bounded(io::stdin().lock(), Path::new("standard input")),
            Source::File(path) => read_image(path),
        }
    }
}

pub(crate) fn read_image(path: &Path) -> Result<Vec<u8>, Problem> {
    let file = File::open(path).map_err(|error| Problem::reading(path, &error))?;
    read_bounded(file, path)
}

fn read_bounded(reader: impl Read, path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    match reader.take(MAX_IMAGE_BYTES + 1).read_to_end(&mut bytes) {
        Err(error) => Err(Problem::reading(path, &error)),
        Ok(read) if read as u64 > MAX_IMAGE_BYTES => Err(Problem::new(
            "IMAGE_LOAD_FAILED",
            format!(
                "{} is larger than {} MiB",
                path.display(),
                MAX_IMAGE_BYTES >> 20
            ),
            "Check that it is an image; save it with compression.",
        )),
        Ok(_) => Ok(bytes),
    }
}

/// One place must not take two results, nor the image be overwritten.
fn check_places(
    source: &Source,
    output: &Destination,
    preview: Option<&Destination>,
) -> Result<(), Failure> {
    if preview == Some(output) {
        return Err(Failure::Usage(match output {
            Destination::Stdout => "mesh and preview cannot both go to standard output; \
                                    name a file for one of them: -o mesh.json"
                .to_owned(),
            Destination::File(path) => {
                format!("-o and --preview cannot both be {}", path.display())
            }
        }));
    }
    let Source::File(image) = source else {
        return Ok(());
    };
    let Ok(image) = fs::canonicalize(image) else {
        return Ok(());
    };
    for place in [Some(output), preview].into_iter().flatten() {
        if let Destination::File(path) = place
            && image.is_file()
            && fs::canonicalize(path).is_ok_and(|path| path == image)
        {
            return Err(Failure::Usage(format!(
                "{} is the image itself, and would be overwritten",
                path.display()
            )));
        }
    }
    Ok(())
}
