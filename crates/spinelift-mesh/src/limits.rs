//! Bounds on what one run may cost; all finite by default.

/// What one run of the pipeline may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest width and largest height of an image, in pixels. Default 4096.
    pub max_image_dimension: u32,
    /// Largest number of pixels of an image. Default 4096 · 4096.
    pub max_image_pixels: u64,
    /// Bytes that an image decoder may allocate. Default 128 MiB.
    pub max_decoder_memory: usize,
    /// Largest number of vertices of a mesh. Default 100,000.
    pub max_mesh_vertices: usize,
}

impl Limits {
    /// The limits used unless others are given.
    pub const DEFAULT: Limits = Limits {
        max_image_dimension: 4096,
        max_image_pixels: 4096 * 4096,
        max_decoder_memory: 128 * 1024 * 1024,
        max_mesh_vertices: 100_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
