//! What a run will allocate at its peak, told from the header of the image.

use crate::image::ImageHeader;
use crate::limits::Limits;
use crate::outline::{longest_contour, relative_tolerance};
use crate::parameters::{IslandMode, MeshParameters, OutlineMode, Symmetry};
use crate::triangulation::area_bound;

/// Bytes for each vertex of a mesh and its JSON. Measured over densities: at most 174 while the mesh
/// is made, and 533 with its JSON, whose buffer doubles as it is written.
const BYTES_PER_VERTEX: u64 = 700;

/// For what does not grow with the image: names, warnings, small lists.
const CONSTANT: u64 = 64 << 10;

/// An upper bound of the bytes that [`generate`](crate::generate), and writing the mesh as JSON,
/// allocate at their peak for an image, the file itself not counted.
///
/// The steps free what they no longer need, so the largest of these counts:
///
/// - decoding: what the decoder holds ([`ImageHeader::decoder_memory`]), the mask of one bit a
///   pixel, and the rows of the blur;
/// - finding the contour: the mask and two more for marks;
/// - the contour: the mask and 8 bytes a step, of which there are no more than
///   [`longest_contour`] says, whatever the shape, noise and spirals included;
/// - the mesh: 700 bytes a vertex. An outline has at most as many vertices as its tolerance fits
///   into its length, and one for each two of its edges that cross; interior vertices are four
///   times as many as the area bound asks for (measured: 0.8 times); never more than
///   [`Limits::max_mesh_vertices`].
///
/// One part is measured rather than proved: the interior vertices.
#[must_use]
pub fn peak(header: &ImageHeader, parameters: &MeshParameters, limits: &Limits) -> u64 {
    let mask = mask(header);
    // What is visible is kept until the mesh is measured.
    let visible = mask;
    let decoding = header.decoder_memory + mask + visible + blur(header, parameters);
    let marking = 3 * mask + visible;
    let steps = longest_contour(parameters, header.width, header.height) as u64;
    let pixels = u64::from(header.width) * u64::from(header.height);
    let contour = mask + visible + 8 * steps.min(MAX_STEPS_PER_PIXEL * pixels);
    let mesh = visible + BYTES_PER_VERTEX * vertices(header, parameters, limits);
    let cover = match parameters.outline.mode {
        OutlineMode::Reference => 0,
        OutlineMode::Cover => cover(mask, parameters),
    };
    CONSTANT + decoding.max(marking).max(contour).max(cover).max(mesh)
}

/// Bytes for each pixel of an image whose colours are decoded, turned into what is drawn, and
/// written as PNG.
const BYTES_PER_COLOURED_PIXEL: u64 = 16;

/// The largest drawing.
const CANVAS: u64 = 32 << 20;

/// Bytes for each byte of a result's JSON that is read and drawn.
const BYTES_PER_BYTE_OF_JSON: u64 = 32;

/// An upper bound of the bytes that [`export::write`](crate::export::write) allocates at its peak,
/// for a result that is read from so many bytes of JSON, and an image if there is one; the files
/// themselves not counted. It is measured rather than proved.
#[must_use]
pub fn export(header: Option<&ImageHeader>, json: usize) -> u64 {
    let image = header.map_or(0, |header| {
        let pixels = u64::from(header.width) * u64::from(header.height);
        header.decoder_memory + BYTES_PER_COLOURED_PIXEL * pixels + CANVAS
    });
    CONSTANT + image + BYTES_PER_BYTE_OF_JSON * json as u64
}

/// Vertices of a mesh with options: outlines of all islands, and points inside.
const MOST_WITH_OPTIONS: usize = 70_000;

/// For islands, border and search of a cover, whose sizes have bounds of their own.
const COVER: u64 = 48 << 20;

/// Bytes of a run of pixels, of which there may be one for two pixels, where islands are told apart.
const BYTES_PER_RUN: u64 = 32;

/// The masks, the padded silhouette (with half pixels of four times the size) as a whole, of a
/// part, mirrored, joined and before it grew; and the islands.
fn cover(mask: u64, parameters: &MeshParameters) -> u64 {
    let padded = if parameters.outline.padding > 0.0 {
        4
    } else {
        1
    };
    let mirrored = match parameters.outline.symmetry {
        Symmetry::None => 0,
        Symmetry::Auto | Symmetry::Vertical => 4,
    };
    let runs = match parameters.outline.islands {
        IslandMode::Bridge => 0,
        IslandMode::Largest | IslandMode::Separate => 4 * padded * mask * BYTES_PER_RUN,
    };
    2 * mask + (5 + mirrored) * padded * mask + runs + COVER
}

/// A border passes a pixel from each of its eight neighbours at most once.
const MAX_STEPS_PER_PIXEL: u64 = 8;

fn mask(header: &ImageHeader) -> u64 {
    let row = u64::from(header.width) / 8 + 16;
    row * (u64::from(header.height) + 2)
}

/// One row more than the kernel is high, and eight rows of sums and flags.
fn blur(header: &ImageHeader, parameters: &MeshParameters) -> u64 {
    match u64::from(parameters.blur_kernel_size) {
        0 | 1 => 0,
        kernel => (kernel + 12) * (u64::from(header.width) + 64),
    }
}

fn vertices(header: &ImageHeader, parameters: &MeshParameters, limits: &Limits) -> u64 {
    if parameters.outline.mode == OutlineMode::Cover || parameters.interior.is_wanted() {
        return limits.max_mesh_vertices.min(MOST_WITH_OPTIONS) as u64;
    }
    let outline = 1.0 / relative_tolerance(parameters) + 4.0;
    let crossings = outline * outline / 2.0;
    let area = f64::from(header.width) * f64::from(header.height);
    let interior =
        area_bound(parameters, header.width, header.height).map_or(0.0, |bound| 4.0 * area / bound);
    let limit = limits.max_mesh_vertices as u64;
    ((outline + crossings + interior) as u64).min(limit)
}
