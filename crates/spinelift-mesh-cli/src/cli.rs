//! The command line.

use crate::export::OutputFormat;
use crate::output::Destination;
use crate::parameters::ParameterArgs;
use clap::builder::styling::{AnsiColor, Styles};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, value_parser};
use spinelift_mesh::Limits;
use spinelift_mesh::export::atlas::Layout;
use spinelift_mesh::export::spine::Version;
use spinelift_mesh_service::settings::{SETTINGS, SettingSpec};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Turn sprite images into 2D meshes.
#[derive(Debug, Parser)]
#[command(name = "spinelift-mesh", version, styles = STYLES, max_term_width = 100)]
#[command(after_help = "Without a command, the service is started as by `serve`.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the mesh of one image.
    Generate(GenerateArgs),
    /// Make the meshes of many images, on all cores.
    Batch(BatchArgs),
    /// Say how good a mesh is: one of ours, or the meshes of a Spine skeleton.
    Inspect(InspectArgs),
    /// Start the service.
    Serve(ServeArgs),
    /// Ask a running service whether it is well: exit code 0, or 1 and why not.
    Health(HealthArgs),
    /// See the service at work: a sprite, its progress, its mesh.
    Demo(DemoArgs),
}

#[derive(Debug, Default, Args)]
#[command(
    after_help = "All other settings come from the environment or the file .env: --help lists them."
)]
#[command(after_long_help = settings())]
pub(crate) struct ServeArgs {
    /// Address to listen on; 0.0.0.0 for all [default: HOST, or 127.0.0.1].
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<IpAddr>,
    /// Port to listen on; 0 picks a free one [default: PORT, or 8000].
    #[arg(short, long)]
    pub(crate) port: Option<u16>,
}

/// The service's table of settings, as help.
fn settings() -> String {
    let mut text = String::from("Settings, from the environment or the file .env:");
    for SettingSpec {
        name,
        default,
        meaning,
        ..
    } in SETTINGS
    {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {name}={default}\n          {meaning}");
    }
    text.push_str("\n\nThe log goes to standard error.");
    text
}

#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Where the service listens [default: HOST and PORT, as the service reads them].
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Ask whether the process is alive, not whether requests should be sent to it.
    #[arg(long)]
    pub(crate) live: bool,
    /// How long to wait for the answer.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

/// More than nothing, and at most an hour.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse::<f64>()
        .ok()
        .filter(|seconds| *seconds > 0.0 && *seconds <= 3600.0)
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "must be a number of seconds, more than 0 and at most 3600".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Port of the service; 0 picks a free one.
    #[arg(short, long, default_value_t = 8000)]
    pub(crate) port: u16,
    /// Show this image instead of a sample.
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Option<PathBuf>,
    /// Folder for all that the demo writes.
    #[arg(long, value_name = "DIR", default_value = "spinelift-demo")]
    pub(crate) dir: PathBuf,
    /// End after the result.
    #[arg(long, visible_alias = "exit")]
    pub(crate) once: bool,
}

#[derive(Debug, Args)]
#[command(after_help = GENERATE_EXAMPLES)]
pub(crate) struct GenerateArgs {
    /// A PNG, WebP or JPEG file; `-` reads standard input.
    pub(crate) image: PathBuf,
    /// Where the mesh goes; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value_t = Destination::Stdout)]
    pub(crate) output: Destination,
    /// What the mesh is written as.
    #[arg(short, long, value_parser = OutputFormat::parser(), default_value = OutputFormat::JSON)]
    pub(crate) format: OutputFormat,
    /// Also draw the mesh over the image, as SVG.
    #[arg(long, value_name = "FILE")]
    pub(crate) preview: Option<Destination>,
    /// Say nothing but errors.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

const GENERATE_EXAMPLES: &str = "\
Examples:
  spinelift-mesh generate hero.png -o mesh.json --preview mesh.svg
  spinelift-mesh generate hero.png --detail-factor 0.03 | jq .metadata
  spinelift-mesh generate hero.png --outline cover --max-vertices 12 --padding 0.5
  spinelift-mesh generate hero.png --preset full-coverage-bend --deadline 50ms
  spinelift-mesh generate hero.png --format spine -o hero.json
  curl -s https://example.com/hero.png | spinelift-mesh generate - > mesh.json";

#[derive(Debug, Args)]
#[command(after_help = BATCH_RULES)]
pub(crate) struct BatchArgs {
    /// Images, and folders to search for .png, .webp, .jpg and .jpeg files.
    #[arg(required = true, value_name = "DIR|FILE")]
    pub(crate) inputs: Vec<PathBuf>,
    /// Folder for the results; made if missing.
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// Also draw each mesh over its image, as SVG.
    #[arg(long)]
    pub(crate) preview: bool,
    /// Also write each mesh in this format, beside its JSON; may be given several times.
    #[arg(short, long, value_name = "FORMAT", value_parser = OutputFormat::parser())]
    pub(crate) format: Vec<OutputFormat>,
    #[command(flatten)]
    pub(crate) skeleton: SkeletonArgs,
    /// Skip images that OUT/report.json lists as done: same content, same parameters, and a result
    /// that is still there.
    #[arg(long)]
    pub(crate) resume: bool,
    /// How many images are worked on at once [default: one per core].
    #[arg(short, long, value_name = "N", value_parser = at_least_one)]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Say nothing but errors.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse();
    number.map_err(|_| "must be a whole number, 1 or more".to_owned())
}

const BATCH_RULES: &str = "\
Results:
  OUT mirrors the tree of the images, below the closest folder that holds all that was named:
    `batch art -o out` turns art/hero/head.png into out/hero/head.png.mesh.json,
    `batch art/hero art/tree.webp -o out` turns them into out/hero/head.png.mesh.json
    and out/tree.webp.mesh.json.
  A preview stands beside its mesh: out/hero/head.png.mesh.svg.
  So do other formats: out/hero/head.png.spine.json.
  Hidden files and folders are not searched, nor is OUT if it lies in a searched folder, nor are
  files that end in .mesh.png.

  --skeleton writes OUT/skeleton.json, OUT/skeleton.atlas and its pages, OUT/skeleton.png,
  OUT/skeleton-2.png and so on, of all images whose meshes are there.

  OUT/report.json lists every image with status (ok, failed, skipped), error, counts and time. It
  is brought up to date while the batch runs, so --resume also works after a crash.

Exit codes: 0 all done, 1 something failed, 2 wrong usage, 130 stopped by Ctrl-C.";

/// One Spine skeleton of a whole batch.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Skeleton")]
pub(crate) struct SkeletonArgs {
    /// Also write one Spine skeleton of all meshes, with a texture atlas.
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = Self::DEFAULT_NAME)]
    pub(crate) skeleton: Option<String>,
    /// The version of Spine that skeleton and atlas are for.
    #[arg(
        long,
        value_name = "VERSION",
        requires = "skeleton",
        default_value = "4.2"
    )]
    #[arg(value_parser = spine_version())]
    pub(crate) spine_version: Version,
    /// Largest width and height of a page of the atlas, in pixels.
    #[arg(long, value_name = "PIXELS", requires = "skeleton")]
    #[arg(default_value_t = Layout::default().max_page)]
    #[arg(value_parser = value_parser!(u32).range(1..=16_384))]
    pub(crate) atlas_size: u32,
    /// Pixels between two images of the atlas.
    #[arg(long, value_name = "PIXELS", requires = "skeleton")]
    #[arg(default_value_t = Layout::default().padding)]
    #[arg(value_parser = value_parser!(u32).range(..=256))]
    pub(crate) atlas_padding: u32,
    /// Make width and height of each page powers of two.
    #[arg(long, requires = "skeleton")]
    pub(crate) atlas_powers_of_two: bool,
}

fn spine_version() -> impl TypedValueParser<Value = Version> {
    PossibleValuesParser::new(["4.2", "3.8"]).map(|version| match version.as_str() {
        "3.8" => Version::V3_8,
        _ => Version::V4_2,
    })
}

impl SkeletonArgs {
    /// What it is called without a name.
    pub(crate) const DEFAULT_NAME: &str = "skeleton";

    pub(crate) fn layout(&self) -> Layout {
        Layout {
            max_page: self.atlas_size,
            padding: self.atlas_padding,
            powers_of_two: self.atlas_powers_of_two,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = INSPECT_EXAMPLES)]
pub(crate) struct InspectArgs {
    /// A mesh as `generate` writes it, one with the same vertices and triangles, or the JSON of a
    /// Spine skeleton; `-` reads standard input.
    pub(crate) mesh: PathBuf,
    /// The image of the mesh; for a skeleton, also the folder that has its images.
    pub(crate) image: PathBuf,
    /// The mesh of a skeleton to look at: the name of an attachment [default: the one called like
    /// the image; all, for a folder].
    #[arg(long, value_name = "NAME")]
    pub(crate) attachment: Option<String>,
    /// Write JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

const INSPECT_EXAMPLES: &str = "\
Examples:
  spinelift-mesh inspect mesh.json hero.png
  spinelift-mesh inspect skeleton.json images/ --json | jq '.[] | select(.quality.pixels_lost > 0)'";

/// Bounds on what one image may cost.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Largest width and height of an image, in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = Limits::DEFAULT.max_image_dimension)]
    #[arg(value_parser = value_parser!(u32).range(1..))]
    max_image_dimension: u32,
    /// Largest number of pixels of an image.
    #[arg(long, value_name = "PIXELS", default_value_t = Limits::DEFAULT.max_image_pixels)]
    #[arg(value_parser = value_parser!(u64).range(1..))]
    max_image_pixels: u64,
    /// Most memory that decoding may take, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = Limits::DEFAULT.max_decoder_memory)]
    max_decoder_memory: usize,
    /// Largest number of vertices of a mesh.
    #[arg(long, value_name = "COUNT", default_value_t = Limits::DEFAULT.max_mesh_vertices)]
    max_mesh_vertices: usize,
}

impl LimitArgs {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_image_dimension: self.max_image_dimension,
            max_image_pixels: self.max_image_pixels,
            max_decoder_memory: self.max_decoder_memory,
            max_mesh_vertices: self.max_mesh_vertices,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
