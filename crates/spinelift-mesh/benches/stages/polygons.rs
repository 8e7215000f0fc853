//! Random simple polygons, and spade on them.

use crate::images::Random;
use crate::table::least_time;
use spade::{
    AngleLimit, ConstrainedDelaunayTriangulation, Point2, RefinementParameters, Triangulation,
};

pub(crate) const REFINED_AREA: f64 = 400.0;

/// Polygons of whole-numbered points around a centre, as outlines are.
pub(crate) fn star_shaped(count: usize, polygons: usize) -> Vec<Vec<[f64; 2]>> {
    let mut random = Random(count as u64);
    let mut polygon = || {
        let mut ring: Vec<[f64; 2]> = (0..count)
            .map(|index| {
                let angle = index as f64 / count as f64 * std::f64::consts::TAU;
                let radius = 1200.0 + (random.next() % 800) as f64;
                [
                    (2048.0 + radius * angle.cos()).round(),
                    (2048.0 + radius * angle.sin()).round(),
                ]
            })
            .collect();
        ring.dedup();
        ring
    };
    (0..polygons).map(|_| polygon()).collect()
}

/// Seconds for one polygon.
pub(crate) fn time_spade(polygons: &[Vec<[f64; 2]>], rounds: usize) -> f64 {
    let work = || {
        polygons
            .iter()
            .map(|polygon| load(polygon).num_inner_faces())
            .sum::<usize>()
    };
    least_time(rounds, work).as_secs_f64() / polygons.len() as f64
}

pub(crate) fn time_spade_refinement(polygons: &[Vec<[f64; 2]>], rounds: usize) -> f64 {
    let refine = |polygon: &Vec<[f64; 2]>| {
        let parameters = RefinementParameters::new()
            .exclude_outer_faces(true)
            .with_angle_limit(AngleLimit::from_deg(0.0))
            .with_max_additional_vertices(1_000_000)
            .with_max_allowed_area(REFINED_AREA);
        let mut triangulation = load(polygon);
        triangulation.refine(parameters);
        triangulation.num_vertices()
    };
    let work = || polygons.iter().map(refine).sum::<usize>();
    least_time(rounds, work).as_secs_f64() / polygons.len() as f64
}

fn load(polygon: &[[f64; 2]]) -> ConstrainedDelaunayTriangulation<Point2<f64>> {
    let vertices = polygon.iter().map(|&[x, y]| Point2::new(x, y)).collect();
    let count = polygon.len();
    let edges = (0..count)
        .map(|index| [index, (index + 1) % count])
        .collect();
    ConstrainedDelaunayTriangulation::bulk_load_cdt(vertices, edges).unwrap_or_default()
}
