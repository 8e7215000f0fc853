//! What drawings of a mesh look like, whether of paths or of pixels.

/// The longer side of the drawing as it opens in a viewer, in CSS pixels: a sprite of a few pixels
/// is enlarged to the least, a texture of thousands is reduced to the largest.
const SHOWN: std::ops::RangeInclusive<f64> = 640.0..=1200.0;

/// Enlarged this many times, pixels of the image stay squares, so that the outline can be judged
/// against them.
pub(super) const PIXELATED: f64 = 2.0;

/// A side of a square of the checkerboard, in CSS pixels as all lengths here.
pub(super) const SQUARE: f64 = 8.0;

/// Red, green and blue.
pub(super) type Color = [u8; 3];

pub(super) const LIGHT: Color = [0xff, 0xff, 0xff];
pub(super) const SHADE: Color = [0xd8, 0xdb, 0xe0];
pub(super) const FILL: Color = [0x2f, 0x9b, 0xff];
pub(super) const FILL_OPACITY: f64 = 0.14;
pub(super) const DOT: Color = [0xff, 0xd2, 0x3f];
pub(super) const CASING: Color = [0x10, 0x15, 0x22];

/// A kind of edges and how it is drawn.
pub(super) struct Line {
    pub(super) is_boundary: bool,
    pub(super) color: Color,
    pub(super) opacity: f64,
    pub(super) thickness: f64,
}

/// From the bottom to the top: bright on a dark casing shows on any sprite.
pub(super) const LINES: [Line; 4] = [
    Line {
        is_boundary: false,
        color: CASING,
        opacity: 0.5,
        thickness: 2.4,
    },
    Line {
        is_boundary: true,
        color: CASING,
        opacity: 0.7,
        thickness: 4.5,
    },
    Line {
        is_boundary: false,
        color: [0xff, 0xff, 0xff],
        opacity: 1.0,
        thickness: 1.0,
    },
    Line {
        is_boundary: true,
        color: [0xff, 0x2d, 0x87],
        opacity: 1.0,
        thickness: 2.2,
    },
];

/// CSS pixels for each pixel of an image.
pub(super) fn zoom(width: u32, height: u32) -> f64 {
    let longer = f64::from(width.max(height).max(1));
    longer.clamp(*SHOWN.start(), *SHOWN.end()) / longer
}

/// The radius of a vertex in pixels of the image. Dots of a dense mesh shrink rather than hide it.
pub(super) fn dot(width: u32, height: u32, vertices: usize) -> f64 {
    let area = f64::from(width) * f64::from(height);
    let spacing = (area / vertices.max(1) as f64).sqrt();
    (3.0 / zoom(width, height)).min(0.15 * spacing)
}
