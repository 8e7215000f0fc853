//! What a caller should know of a run that succeeded all the same.

use serde::{Serialize, Serializer, ser::SerializeStruct};
use std::fmt;

/// Most unknown names that are warned of in one object: who gave more gave no parameters.
pub const MAX_WARNINGS: usize = 50;

/// Most characters of a name that are repeated.
const MAX_NAME: usize = 200;

/// Something in the input that was repaired, replaced or ignored.
///
/// Serialized as `{"code": "…", "message": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A parameter that does not exist was given, and ignored.
    UnknownParameter {
        /// Its name, as given; of a very long one the beginning.
        name: String,
    },
    /// Simplification left fewer than three vertices, or an outline that encloses nothing: the
    /// image's rectangle is the outline.
    FallbackRectangle,
    /// An option counts with [`OutlineMode::Cover`](crate::parameters::OutlineMode) alone, and the
    /// mode is another.
    WithoutEffect {
        /// Its name.
        name: String,
    },
    /// The outline crossed or touched itself; everything it encloses was filled.
    OutlineRepaired {
        /// Pairs of edges that crossed or touched.
        intersections: usize,
    },
    /// The outline could not be repaired: its convex hull is meshed instead.
    OutlineReplacedByHull,
    /// The observer said that time is up: the mesh is valid, but a longer search may find a better
    /// one.
    TimeWasUp,
    /// The art has more islands than get a mesh each: the smallest share one.
    IslandsJoined {
        /// How many share one.
        count: usize,
    },
}

impl Warning {
    pub(crate) fn unknown_parameter(name: &str) -> Self {
        let name = name.chars().take(MAX_NAME).collect();
        Self::UnknownParameter { name }
    }

    /// A stable name for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Warning::UnknownParameter { .. } => "UNKNOWN_PARAMETER",
            Warning::WithoutEffect { .. } => "PARAMETER_WITHOUT_EFFECT",
            Warning::FallbackRectangle => "FALLBACK_RECTANGLE",
            Warning::OutlineRepaired { .. } => "OUTLINE_REPAIRED",
            Warning::OutlineReplacedByHull => "OUTLINE_REPLACED_BY_HULL",
            Warning::TimeWasUp => "TIME_WAS_UP",
            Warning::IslandsJoined { .. } => "ISLANDS_JOINED",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::UnknownParameter { name } => {
                write!(f, "unknown parameter `{}` was ignored", name.escape_debug())
            }
            Warning::WithoutEffect { name } => write!(
                f,
                "{name} has an effect only with the outline mode `cover`, which was not asked for",
            ),
            Warning::FallbackRectangle => f.write_str(
                "simplification left too little to enclose anything, so the outline is the image's \
                 rectangle; a larger detail_factor keeps more",
            ),
            Warning::OutlineRepaired { intersections } => write!(
                f,
                "the simplified outline crossed or touched itself in {intersections} place(s); \
                 all that it encloses was filled; another detail_factor may avoid it",
            ),
            Warning::TimeWasUp => f.write_str(
                "time was up before the search for the best outline and interior ended; with more \
                 time there may be less empty area and better angles",
            ),
            Warning::IslandsJoined { count } => write!(
                f,
                "there are more islands than get a mesh each; the {count} smallest share one",
            ),
            Warning::OutlineReplacedByHull => f.write_str(
                "the simplified outline crossed itself beyond repair, so its convex hull is \
                 meshed; another detail_factor may avoid it",
            ),
        }
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Warning", 2)?;
        object.serialize_field("code", self.code())?;
        object.serialize_field("message", &self.to_string())?;
        object.end()
    }
}
