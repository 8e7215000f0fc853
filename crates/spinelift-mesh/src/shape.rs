//! What file formats need of a mesh: the size of its image, vertices, triangles.

use crate::edges::Edges;
use crate::error::MeshError;
use crate::image::{ImageHeader, decode_alpha};
use crate::limits::Limits;
use crate::mask::MaskBuilder;
use crate::mesh::Mesh;
use crate::progress::{Observer, Step, Stopped};
use crate::quality::Quality;
use crate::uv::texture_coordinates;

/// Coordinates beyond this, in pixels, are refused; far more than any image.
pub const MAX_COORDINATE: f64 = 1e6;

/// Triangles over an image, of this library or any other origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    width: u32,
    height: u32,
    vertices: Vec<[f64; 2]>,
    triangles: Vec<[u32; 3]>,
}

/// Why vertices and triangles are no shape.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Width or height of the image is zero.
    #[error("the size of its image is {width} x {height}")]
    NoPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// There is no triangle.
    #[error("it has no triangles")]
    NoTriangles,
    /// A coordinate is beyond [`MAX_COORDINATE`], or no number.
    #[error("vertex {vertex} is at ({x}, {y})")]
    Coordinate {
        /// Its index.
        vertex: usize,
        /// Where it is.
        x: f64,
        /// Where it is.
        y: f64,
    },
    /// A triangle names a vertex that is not there.
    #[error("triangle {triangle} names vertex {vertex}, and there are {count}")]
    NoSuchVertex {
        /// Its index.
        triangle: usize,
        /// The vertex that it names.
        vertex: u32,
        /// Number of vertices.
        count: usize,
    },
}

impl Shape {
    /// Vertices in pixels, origin top left, y down; three of them for each triangle, wound either
    /// way.
    ///
    /// # Errors
    /// See [`ShapeError`].
    pub fn new(
        [width, height]: [u32; 2],
        vertices: Vec<[f64; 2]>,
        triangles: Vec<[u32; 3]>,
    ) -> Result<Self, ShapeError> {
        if width == 0 || height == 0 {
            return Err(ShapeError::NoPixels { width, height });
        }
        if triangles.is_empty() {
            return Err(ShapeError::NoTriangles);
        }
        let is_near = |value: f64| value.abs() <= MAX_COORDINATE;
        let mut places = vertices.iter().enumerate();
        if let Some((vertex, &[x, y])) = places.find(|(_, [x, y])| !is_near(*x) || !is_near(*y)) {
            return Err(ShapeError::Coordinate { vertex, x, y });
        }
        let count = vertices.len();
        for (triangle, corners) in triangles.iter().enumerate() {
            if let Some(&vertex) = corners.iter().find(|&&vertex| vertex as usize >= count) {
                return Err(ShapeError::NoSuchVertex {
                    triangle,
                    vertex,
                    count,
                });
            }
        }
        Ok(Shape {
            width,
            height,
            vertices,
            triangles,
        })
    }

    /// Width of the image in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height of the image in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// `[x, y]` of each vertex, in pixels, origin top left, y down.
    #[must_use]
    pub fn vertices(&self) -> &[[f64; 2]] {
        &self.vertices
    }

    /// Three vertices each.
    #[must_use]
    pub fn triangles(&self) -> &[[u32; 3]] {
        &self.triangles
    }

    /// Edges of one triangle, and of two.
    #[must_use]
    pub fn edges(&self) -> Edges {
        Edges::of(&self.triangles, self.vertices.len())
    }

    /// Texture coordinates, v down.
    #[must_use]
    pub fn uvs(&self) -> Vec<f64> {
        texture_coordinates(&self.vertices, self.width, self.height)
    }

    /// Measures it against the pixels of its image: those that are not wholly transparent.
    ///
    /// Triangles that overlap are counted once each in the area.
    ///
    /// # Errors
    /// The image cannot be loaded, or the observer stopped the run.
    pub fn quality(
        &self,
        image: &[u8],
        limits: &Limits,
        observer: &mut dyn Observer,
    ) -> Result<Quality, MeshError> {
        let header = ImageHeader::read(image, limits)?;
        let mut visible = MaskBuilder::at_least(header.width, header.height, 1);
        decode_alpha(image, &header, limits, &mut visible)
            .map_err(|error| error.during(Step::CreateMask))?;
        let boundary = self.edges().boundary;
        let visible = visible.finish();
        Quality::of(
            &self.vertices,
            &self.triangles,
            &boundary,
            &visible,
            observer,
        )
        .map_err(|Stopped| MeshError::Stopped {
            step: Step::Finalize,
        })
    }
}

/// The mesh and those of its other islands, together.
impl From<&Mesh> for Shape {
    fn from(mesh: &Mesh) -> Self {
        let mut shape = Shape {
            width: mesh.metadata.width,
            height: mesh.metadata.height,
            vertices: Vec::new(),
            triangles: Vec::new(),
        };
        for part in mesh.parts() {
            shape.append(&part.vertices, &part.triangles);
        }
        shape
    }
}

impl Shape {
    fn append(&mut self, vertices: &[[f64; 2]], triangles: &[[u32; 3]]) {
        let first = self.vertices.len() as u32;
        let moved = triangles
            .iter()
            .map(|corners| corners.map(|vertex| first + vertex));
        self.triangles.extend(moved);
        self.vertices.extend(vertices);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn islands_are_part_of_the_shape() {
        let image = include_bytes!("../tests/images/shapes/star-with-thin-spikes.png");
        let made = crate::generate(
            image,
            &crate::MeshParameters::default(),
            &Limits::DEFAULT,
            &mut (),
        );
        let mut mesh = made.expect("a mesh");
        mesh.islands = vec![mesh.clone()];
        let shape = Shape::from(&mesh);
        let count = mesh.vertices.len() as u32;
        assert_eq!(
            shape.vertices(),
            [&*mesh.vertices, &*mesh.vertices].concat()
        );
        let moved = |corners: &[u32; 3]| corners.map(|vertex| vertex + count);
        let second: Vec<_> = mesh.triangles.iter().map(moved).collect();
        assert_eq!(shape.triangles(), [mesh.triangles, second].concat());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let corners = || vec![[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]];
        let triangle = || vec![[0, 1, 2]];
        let message = |size, vertices, triangles| {
            Shape::new(size, vertices, triangles)
                .expect_err("it makes no sense")
                .to_string()
        };
        assert!(Shape::new([4, 4], corners(), triangle()).is_ok());
        assert_eq!(
            message([4, 0], corners(), triangle()),
            "the size of its image is 4 x 0"
        );
        assert_eq!(message([4, 4], corners(), vec![]), "it has no triangles");
        assert_eq!(
            message([4, 4], corners(), vec![[0, 1, 2], [0, 1, 3]]),
            "triangle 1 names vertex 3, and there are 3"
        );
        for wrong in [f64::NAN, f64::INFINITY, 1.5e6] {
            let vertices = vec![[0.0, 0.0], [4.0, wrong], [0.0, 4.0]];
            let message = message([4, 4], vertices, triangle());
            assert!(message.starts_with("vertex 1 is at (4, "), "{message}");
        }
    }
}
