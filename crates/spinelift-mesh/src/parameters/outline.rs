//! The optional parameters: how the outline is made, and what is put inside.

use serde::{Deserialize, Serialize};

/// How the outline follows the art.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutlineMode {
    /// The contour through pixel centres, simplified; it cuts corners off the art.
    #[default]
    Reference,
    /// Few vertices around every visible pixel; none is lost.
    Cover,
}

/// What becomes of several islands, with [`OutlineMode::Cover`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IslandMode {
    /// One outline around all of them, joined by narrow bridges.
    #[default]
    Bridge,
    /// The one of most pixels alone.
    Largest,
    /// A mesh for each.
    Separate,
}

/// Whether the outline is mirrored, with [`OutlineMode::Cover`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Symmetry {
    /// Where the art is nearly symmetric to a vertical axis.
    Auto,
    /// Always, to the vertical axis through the middle of the art.
    Vertical,
    /// Never.
    #[default]
    None,
}

/// The optional parameters of the outline. All but the mode count with [`OutlineMode::Cover`]
/// alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutlineParameters {
    /// How the outline follows the art.
    pub mode: OutlineMode,
    /// The outline has no more vertices: 4 to 256. Without this and `max_overdraw`, 12.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_vertices: Option<u32>,
    /// As few vertices as reach this ratio of the outline's area to the visible pixels: 1 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_overdraw: Option<f64>,
    /// How far around every pixel the outline stays, in pixels: 0 to 32, raised to a multiple
    /// of a half.
    pub padding: f64,
    /// What becomes of several islands.
    pub islands: IslandMode,
    /// Whether the outline is mirrored.
    pub symmetry: Symmetry,
}

impl OutlineParameters {
    /// The reference's outline.
    pub const DEFAULT: OutlineParameters = OutlineParameters {
        mode: OutlineMode::Reference,
        max_vertices: None,
        max_overdraw: None,
        padding: 0.0,
        islands: IslandMode::Bridge,
        symmetry: Symmetry::None,
    };

    /// The budget of vertices where neither it nor an overdraw is given.
    pub const DEFAULT_VERTICES: u32 = 12;

    /// An outline that loses no pixel, of the default number of vertices.
    pub const COVER: OutlineParameters = OutlineParameters {
        mode: OutlineMode::Cover,
        ..Self::DEFAULT
    };

    /// The largest number of vertices, given or by default.
    pub(crate) fn budget(&self) -> u32 {
        match (self.max_vertices, self.max_overdraw) {
            (Some(most), _) => most,
            (None, None) => Self::DEFAULT_VERTICES,
            (None, Some(_)) => 256,
        }
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }
}

impl Default for OutlineParameters {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The optional parameters of the interior. With `vertices` or `spacing`, the edges of the
/// outline are split and points are spread evenly inside.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InteriorParameters {
    /// About as many vertices in all, the outline's included, and no more: 4 to 10,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vertices: Option<u32>,
    /// The distance between vertices in pixels: 2 to 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing: Option<f64>,
    /// No angle shall be smaller, in degrees: 0 to 30. Angles of the outline itself stay as they
    /// are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_angle: Option<f64>,
}

impl InteriorParameters {
    /// Nothing inside.
    pub const DEFAULT: InteriorParameters = InteriorParameters {
        vertices: None,
        spacing: None,
        min_angle: None,
    };

    pub(super) fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }
}
