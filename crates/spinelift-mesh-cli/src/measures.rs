//! What people are told of a mesh, or of the meshes of its islands together.

use crate::console::count;
use spinelift_mesh::Mesh;
use std::fmt;

/// Sums over all meshes of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measures {
    pub(crate) meshes: usize,
    pub(crate) vertices: usize,
    pub(crate) triangles: usize,
    /// The share of visible pixels that are not lost.
    pub(crate) coverage: f64,
    /// Area of the meshes over the number of visible pixels.
    pub(crate) overdraw: Option<f64>,
}

impl Measures {
    pub(crate) fn of(mesh: &Mesh) -> Self {
        let parts = || mesh.parts().map(|part| &part.metadata.quality);
        let visible: u64 = parts().map(|quality| quality.visible_pixels).sum();
        let lost: u64 = parts().map(|quality| quality.pixels_lost).sum();
        let area: f64 = parts().map(|quality| quality.area).sum();
        let share = |part: f64| (visible > 0).then(|| part / visible as f64);
        Measures {
            meshes: mesh.parts().count(),
            vertices: parts().map(|quality| quality.vertices).sum(),
            triangles: parts().map(|quality| quality.triangles).sum(),
            coverage: share((visible - lost) as f64).unwrap_or(1.0),
            overdraw: share(area),
        }
    }
}

impl fmt::Display for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.meshes > 1 {
            write!(f, "{}, ", count(self.meshes, "mesh", "meshes"))?;
        }
        write!(
            f,
            "{}, {}, ",
            count(self.vertices, "vertex", "vertices"),
            count(self.triangles, "triangle", "triangles"),
        )?;
        // Rounded down: 100 % are all of them.
        write!(f, "{} % covered", (self.coverage * 1000.0).floor() / 10.0)?;
        match self.overdraw {
            Some(overdraw) => write!(f, ", overdraw {overdraw:.3}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_pixels_are_a_hundred_per_cent() {
        let measures = Measures {
            meshes: 1,
            vertices: 12,
            triangles: 10,
            coverage: 0.999_99,
            overdraw: Some(1.0726),
        };
        let expected = "12 vertices, 10 triangles, 99.9 % covered, overdraw 1.073";
        assert_eq!(measures.to_string(), expected);
        let measures = Measures {
            meshes: 2,
            coverage: 1.0,
            overdraw: None,
            ..measures
        };
        let expected = "2 meshes, 12 vertices, 10 triangles, 100 % covered";
        assert_eq!(measures.to_string(), expected);
    }
}
