//! One expected result of the reference implementation, and what counts as the same.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use spinelift_mesh::contour::{Contour, find_main_contour};
use spinelift_mesh::error::Interrupted;
use spinelift_mesh::image::{ImageHeader, decode_alpha};
use spinelift_mesh::mask::MaskBuilder;
use spinelift_mesh::outline::Outline;
use spinelift_mesh::triangulation::area_bound;
use spinelift_mesh::{Limits, Mesh, MeshError, MeshParameters, generate};
use std::collections::BTreeSet;

/// Interior vertices may be placed elsewhere, but not many more of them: at most 1.1 times the
/// reference's, with some slack in the smallest meshes.
#[derive(Clone, Copy)]
pub(crate) struct Slack {
    pub(crate) vertices: usize,
}

#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) image: String,
    pub(crate) params: String,
    #[serde(default)]
    pub(crate) parameters: serde_json::Value,
    width: u32,
    height: u32,
    error: Option<String>,
    #[serde(flatten)]
    contour: Option<ExpectedContour>,
    #[serde(flatten)]
    mesh: Option<ExpectedMesh>,
}

#[derive(Deserialize)]
struct ExpectedContour {
    contour_points: usize,
    contour_area: f64,
    arc_length: f64,
    contour_sha256: String,
    fallback_rectangle: bool,
    outline: Vec<[i32; 2]>,
    outline_is_simple: bool,
}

#[derive(Deserialize)]
struct ExpectedMesh {
    vertex_count: usize,
    triangle_count: usize,
    mesh_area: f64,
    #[serde(default)]
    triangles: Option<Vec<[u32; 3]>>,
    #[serde(default)]
    boundary_edge_count: Option<usize>,
    #[serde(default)]
    internal_edge_count: Option<usize>,
}

impl Case {
    pub(crate) fn name(&self) -> String {
        format!("{} ({})", self.image, self.params)
    }

    /// Compares every stage with what is expected.
    pub(crate) fn check(
        &self,
        image: &[u8],
        parameters: &MeshParameters,
        slack: Slack,
    ) -> Result<(), String> {
        let result = generate(image, parameters, &Limits::default(), &mut ());
        if let Some(code) = &self.error {
            return match result {
                Err(error) if error.code() == code => Ok(()),
                other => Err(format!(
                    "expected {code}, got {:?}",
                    other.map(|mesh| mesh.metadata)
                )),
            };
        }
        let expected = self.contour.as_ref().ok_or("the case has no contour")?;
        let mesh = result.map_err(|error| error.to_string())?;
        let (contour, outline) =
            contour_and_outline(image, parameters).map_err(|e| e.to_string())?;
        same(
            "size",
            (self.width, self.height),
            (mesh.metadata.width, mesh.metadata.height),
        )?;
        expected.check(&contour, &outline)?;
        if !expected.outline_is_simple {
            return well_formed(&mesh).and_then(|()| {
                let repaired = mesh
                    .metadata
                    .warnings
                    .iter()
                    .any(|w| w.code() == "OUTLINE_REPAIRED");
                same("a warning of the repair", true, repaired)
            });
        }
        well_formed(&mesh)?;
        let outline_length = outline.points.len() as u32;
        match (area_bound(parameters, self.width, self.height), &self.mesh) {
            (_, None) => Err("the case has no mesh".into()),
            (None, Some(expected)) => {
                same(
                    "boundary_indices",
                    (0..outline_length).collect(),
                    mesh.boundary_indices.clone(),
                )?;
                expected.check_plain(&mesh)
            }
            (Some(bound), Some(expected)) => expected.check_refined(&mesh, bound, slack),
        }
    }
}

impl ExpectedContour {
    fn check(&self, contour: &Contour, outline: &Outline) -> Result<(), String> {
        same("contour points", self.contour_points, contour.points.len())?;
        same("contour area", self.contour_area, contour.area)?;
        near("arc length", self.arc_length, contour.arc_length(), 1e-6)?;
        let mut digest = Sha256::new();
        for value in contour.points.iter().flatten() {
            digest.update(value.to_le_bytes());
        }
        let digest: String = digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        same("contour digest", &self.contour_sha256, &digest)?;
        same(
            "fallback rectangle",
            self.fallback_rectangle,
            outline.is_fallback_rectangle,
        )?;
        same("outline", &self.outline, &outline.points)
    }
}

impl ExpectedMesh {
    fn check_plain(&self, mesh: &Mesh) -> Result<(), String> {
        same("vertex count", self.vertex_count, mesh.vertices.len())?;
        same("triangle count", self.triangle_count, mesh.triangles.len())?;
        near("mesh area", self.mesh_area, area(mesh), 1e-3)?;
        same(
            "boundary edges",
            self.boundary_edge_count,
            Some(mesh.boundary_edges.len() / 2),
        )?;
        same(
            "internal edges",
            self.internal_edge_count,
            Some(mesh.internal_edges.len() / 2),
        )?;
        let expected = self.triangles.as_ref().ok_or("the case has no triangles")?;
        same_but_for_ties(expected, mesh)
    }

    fn check_refined(&self, mesh: &Mesh, bound: f64, slack: Slack) -> Result<(), String> {
        near("mesh area", self.mesh_area, area(mesh), 1e-3)?;
        let largest = doubled_areas(mesh).fold(0.0, f64::max) / 2.0;
        if largest > bound {
            return Err(format!(
                "a triangle of {largest} px² is above the bound {bound}"
            ));
        }
        let most = (self.vertex_count * 11 / 10).max(self.vertex_count + slack.vertices);
        if mesh.vertices.len() > most {
            return Err(format!(
                "{} vertices, the reference has {}",
                mesh.vertices.len(),
                self.vertex_count
            ));
        }
        Ok(())
    }
}

/// Runs the public steps one by one.
pub(crate) fn contour_and_outline(
    image: &[u8],
    parameters: &MeshParameters,
) -> Result<(Contour, Outline), MeshError> {
    let parameters = parameters.normalized()?;
    let limits = Limits::default();
    let header = ImageHeader::read(image, &limits)?;
    let mut mask = MaskBuilder::new(header.width, header.height, &parameters);
    decode_alpha(image, &header, &limits, &mut mask).map_err(unstopped)?;
    let contour = find_main_contour(&mask.finish(), parameters.min_contour_area, &mut ())
        .map_err(unstopped)?;
    let outline =
        Outline::from_contour(&contour, &parameters, header.width, header.height, &mut ()).unwrap();
    Ok((contour, outline))
}

fn unstopped<E>(error: Interrupted<E>) -> E {
    match error {
        Interrupted::Failed(error) => error,
        Interrupted::Stopped => unreachable!("nobody stops it"),
    }
}

/// What must hold for every mesh: indices in range, no degenerate or repeated triangle, every
/// edge in one or two triangles, the boundary edges form the rings of `boundary_indices`.
pub(crate) fn well_formed(mesh: &Mesh) -> Result<(), String> {
    let count = mesh.vertices.len() as u32;
    let indices = || mesh.triangles.iter().flatten();
    if indices().any(|&index| index >= count) {
        return Err("an index is out of range".into());
    }
    if indices().collect::<BTreeSet<_>>().len() != mesh.vertices.len() {
        return Err("a vertex is not used".into());
    }
    if doubled_areas(mesh).any(|area| area <= 0.0) {
        return Err("a triangle is degenerate or turned over".into());
    }
    let sides = mesh
        .triangles
        .iter()
        .flat_map(|&[a, b, c]| [(a, b), (b, c), (c, a)]);
    let mut directed = BTreeSet::new();
    for side in sides {
        if !directed.insert(side) {
            return Err(format!("two triangles lie on the same side of {side:?}"));
        }
    }
    let boundary: BTreeSet<_> = pairs(&mesh.boundary_edges).collect();
    let is_boundary = |&(a, b): &(u32, u32)| !directed.contains(&(b, a));
    let expected: BTreeSet<_> = directed
        .iter()
        .filter(|side| is_boundary(side))
        .map(|&(a, b)| (a.min(b), a.max(b)))
        .collect();
    same("boundary edges", &expected, &boundary)?;
    same(
        "edges",
        directed.len(),
        mesh.internal_edges.len() + boundary.len(),
    )?;
    let on_boundary: BTreeSet<_> = mesh.boundary_edges.iter().copied().collect();
    same(
        "boundary vertices",
        on_boundary,
        mesh.boundary_indices.iter().copied().collect(),
    )?;
    same(
        "boundary length",
        boundary.len(),
        mesh.boundary_indices.len(),
    )?;
    same("uvs", 2 * mesh.vertices.len(), mesh.uvs.len())
}

pub(crate) fn area(mesh: &Mesh) -> f64 {
    doubled_areas(mesh).sum::<f64>() / 2.0
}

fn doubled_areas(mesh: &Mesh) -> impl Iterator<Item = f64> + '_ {
    mesh.triangles.iter().map(|triangle| {
        let [a, b, c] = triangle.map(|index| mesh.vertices[index as usize]);
        (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    })
}

fn pairs(flat: &[u32]) -> impl Iterator<Item = (u32, u32)> + '_ {
    flat.chunks_exact(2).map(|pair| (pair[0], pair[1]))
}

/// Constrained Delaunay triangulations of one polygon are equal but for quadrilaterals whose
/// corners lie on one circle: there either diagonal will do.
fn same_but_for_ties(expected: &[[u32; 3]], mesh: &Mesh) -> Result<(), String> {
    let mut actual: Vec<_> = mesh
        .triangles
        .iter()
        .map(|&triangle| least_first(triangle))
        .collect();
    actual.sort_unstable();
    if actual == expected {
        return Ok(());
    }
    let expected: BTreeSet<_> = expected.iter().collect();
    let is_tied =
        |triangle: &[u32; 3]| sides_of(*triangle).any(|side| in_circle(mesh, side) == Some(0));
    for triangle in actual
        .iter()
        .filter(|triangle| !expected.contains(triangle))
    {
        if !is_tied(triangle) {
            return Err(format!(
                "triangle {triangle:?} is not in the reference, and no tie"
            ));
        }
    }
    for side in pairs(&mesh.internal_edges) {
        if in_circle(mesh, side).is_none_or(|sign| sign > 0) {
            return Err(format!("edge {side:?} is not Delaunay"));
        }
    }
    Ok(())
}

fn least_first([a, b, c]: [u32; 3]) -> [u32; 3] {
    match a.min(b).min(c) {
        least if least == a => [a, b, c],
        least if least == b => [b, c, a],
        _ => [c, a, b],
    }
}

fn sides_of([a, b, c]: [u32; 3]) -> impl Iterator<Item = (u32, u32)> {
    [(a, b), (b, c), (c, a)].into_iter()
}

/// The exact sign of the in-circle determinant of the two triangles at an edge.
fn in_circle(mesh: &Mesh, (from, to): (u32, u32)) -> Option<i128> {
    let apex = |from: u32, to: u32| {
        let triangle = mesh
            .triangles
            .iter()
            .find(|t| sides_of(**t).any(|side| side == (from, to)))?;
        triangle
            .iter()
            .copied()
            .find(|&corner| corner != from && corner != to)
    };
    let point = |index: u32| mesh.vertices[index as usize].map(|value| value as i128);
    let d = point(apex(to, from)?);
    let [a, b, c] = [from, to, apex(from, to)?].map(|index| {
        let [x, y] = point(index);
        [x - d[0], y - d[1]]
    });
    let lift = |p: [i128; 2]| p[0] * p[0] + p[1] * p[1];
    let cross = |p: [i128; 2], q: [i128; 2]| p[0] * q[1] - p[1] * q[0];
    Some((lift(a) * cross(b, c) + lift(b) * cross(c, a) + lift(c) * cross(a, b)).signum())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: T, actual: T) -> Result<(), String> {
    if expected == actual {
        return Ok(());
    }
    let clip = |value: &T| format!("{value:?}").chars().take(300).collect::<String>();
    Err(format!(
        "{what}: expected {}, got {}",
        clip(&expected),
        clip(&actual)
    ))
}

fn near(what: &str, expected: f64, actual: f64, tolerance: f64) -> Result<(), String> {
    if (expected - actual).abs() <= tolerance {
        return Ok(());
    }
    Err(format!("{what}: expected {expected}, got {actual}"))
}
