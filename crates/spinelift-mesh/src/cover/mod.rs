//! Mask → an outline that loses no pixel, of few vertices and little empty area.
//!
//! The mask is padded (`silhouette`), its islands are joined or told apart (`islands`, `apart`), and its
//! border is traced along the corners of pixels (`border`). The border loses vertices by growing
//! outwards (`collapse`); then edges slide to better places (`slide`) and the best vertices are
//! chosen among many (`candidates`, `pool`, `exchange`), in turns (`search`). All coordinates are
//! whole numbers of 1/256 pixel (`plane`), so that no predicate can be wrong; no edge is taken that
//! crosses the silhouette (`rows`), and at the end the outline is checked by other means (`gate`).
//! Should that ever fail, the bounding box is the outline.

mod apart;
mod border;
mod candidates;
mod collapse;
mod exchange;
mod gate;
mod ground;
mod islands;
mod mirror;
mod plane;
mod pool;
mod reached;
mod ring;
mod rows;
mod search;
mod silhouette;
mod slide;
mod watch;

use crate::mask::BinaryMask;
use crate::parameters::{IslandMode, OutlineParameters};
use crate::progress::Stopped;
use apart::Apart;
use ground::Ground;
use islands::Islands;

pub(crate) use plane::{PIXEL, Point, cross, doubled_area};
pub(crate) use silhouette::Silhouette;
pub(crate) use watch::Watch;

/// Corners of a border that is worked on; a longer one is made coarser first.
const MOST_CORNERS: usize = 20_000;

/// Runs of cells whose islands are joined; noise is made coarser first.
const MOST_RUNS: usize = 1 << 17;

/// Meshes that a sprite of many islands becomes.
const MOST_PARTS: usize = 256;

/// Budgets that are tried for an overdraw, one after the other.
const BUDGETS: [usize; 14] = [4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128, 256];

/// What is to be covered: the padded mask, in the parts that get an outline each.
pub(crate) struct Art {
    whole: Silhouette,
    /// Where they are told apart.
    islands: Option<Apart>,
    parts: Vec<Part>,
}

enum Part {
    Everything,
    /// These islands together.
    Islands(Vec<u32>),
}

/// An outline around a part of the art.
pub(crate) struct Outline {
    /// Clockwise on screen.
    pub(crate) ring: Vec<Point>,
    /// Twice the x of the axis that the outline is mirrored at.
    pub(crate) axis: Option<i64>,
    part: usize,
}

impl Art {
    /// `None` where the mask is empty.
    pub(crate) fn new(
        mask: &BinaryMask,
        parameters: &OutlineParameters,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Self>, Stopped> {
        let halves = (parameters.padding * 2.0).ceil() as u32;
        let whole = Silhouette::padded(mask, halves, watch)?;
        if whole.is_empty() {
            return Ok(None);
        }
        if parameters.islands == IslandMode::Bridge {
            return Ok(Some(Art {
                whole,
                islands: None,
                parts: vec![Part::Everything],
            }));
        }
        let islands = Islands::of(&whole.cells, watch)?;
        let mut order = islands.by_size();
        let singles = match parameters.islands {
            IslandMode::Separate => MOST_PARTS - 1,
            IslandMode::Bridge | IslandMode::Largest => 1,
        };
        let rest = order.split_off(order.len().min(singles));
        let mut parts: Vec<Part> = order
            .into_iter()
            .map(|island| Part::Islands(vec![island]))
            .collect();
        if parameters.islands == IslandMode::Separate && !rest.is_empty() {
            parts.push(Part::Islands(rest));
        }
        Ok(Some(Art {
            whole,
            islands: Some(islands.apart()),
            parts,
        }))
    }

    pub(crate) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Islands that share the last part although each should have its own.
    pub(crate) fn joined(&self) -> Option<usize> {
        match self.parts.last() {
            Some(Part::Islands(islands)) if islands.len() > 1 => Some(islands.len()),
            _ => None,
        }
    }

    /// The outline of one of the parts.
    pub(crate) fn outline(
        &self,
        part: usize,
        mask: &BinaryMask,
        parameters: &OutlineParameters,
        watch: &mut Watch<'_>,
    ) -> Result<Outline, Stopped> {
        let silhouette = self.silhouette(part);
        let pixels = match self.parts[part] {
            Part::Everything => mask.area(),
            Part::Islands(_) => silhouette.pixels_of(mask, watch)?,
        };
        let axis = mirror::axis(&silhouette, parameters.symmetry, watch)?;
        let ring = match axis {
            Some(axis) => {
                let half = mirror::half(&silhouette, axis, watch)?;
                // Mirrored, all vertices but the two on the axis are there twice.
                let halved = |most: u32| (most / 2 + 1).max(4);
                let parameters = OutlineParameters {
                    max_vertices: Some(halved(parameters.budget())),
                    ..*parameters
                };
                let ring = fit(half, pixels.div_ceil(2), &parameters, watch)?;
                ring.and_then(|ring| mirror::unfold(&ring, axis))
            }
            None => fit(silhouette.clone(), pixels, parameters, watch)?,
        };
        let most = parameters.budget() as usize;
        let accepted = ring
            .filter(|ring| ring.len() <= most)
            .map(|ring| silhouette.placed(&ring))
            .filter(|ring| silhouette.is_covered_by(ring));
        Ok(Outline {
            axis: axis
                .filter(|_| accepted.is_some())
                .map(|axis| axis + 2 * silhouette.origin.x),
            ring: accepted.unwrap_or_else(|| silhouette.rectangle()),
            part,
        })
    }

    /// What an outline is around. It is made anew, since those of all parts may not fit into
    /// memory.
    pub(crate) fn inside(&self, outline: &Outline) -> Silhouette {
        self.silhouette(outline.part)
    }

    fn silhouette(&self, part: usize) -> Silhouette {
        match (&self.parts[part], &self.islands) {
            (Part::Islands(wanted), Some(islands)) => islands.only(wanted, &self.whole),
            _ => self.whole.clone(),
        }
    }
}

/// Searches an outline around a silhouette, with the vertices that the parameters ask for.
fn fit(
    mut silhouette: Silhouette,
    pixels: u64,
    parameters: &OutlineParameters,
    watch: &mut Watch<'_>,
) -> Result<Option<Vec<Point>>, Stopped> {
    while silhouette.has_more_runs_than(MOST_RUNS) {
        silhouette = silhouette.coarser(watch)?;
    }
    let islands = Islands::of(&silhouette.cells, watch)?;
    islands.bridge(&mut silhouette.cells, watch)?;
    let Some(ground) = ground(silhouette, watch)? else {
        return Ok(None);
    };
    let Some(overdraw) = parameters.max_overdraw else {
        let ring = search::search(&ground, parameters.budget() as usize, watch)?;
        return Ok(Some(ring.points()));
    };
    let most = parameters.budget() as usize;
    let bound = (overdraw * 2.0 * (pixels as f64) * (PIXEL * PIXEL) as f64) as i64;
    Ok(Some(fewest(&ground, most, bound, watch)?))
}

/// The outline of fewest vertices whose doubled area is within a bound, or else the smallest.
fn fewest(
    ground: &Ground,
    most: usize,
    bound: i64,
    watch: &mut Watch<'_>,
) -> Result<Vec<Point>, Stopped> {
    let mut failed = 3;
    let mut found = None;
    for budget in BUDGETS
        .into_iter()
        .filter(|&budget| budget < most)
        .chain([most])
    {
        let ring = search::search(ground, budget, watch)?;
        let fits = ring.doubled_area() <= bound;
        found = Some(ring);
        if fits {
            break;
        }
        failed = budget;
        if watch.time_is_up() {
            break;
        }
    }
    let Some(mut best) = found else {
        return Ok(search::rectangle(ground).points());
    };
    while best.doubled_area() <= bound && failed + 1 < best.len() && !watch.time_is_up() {
        let middle = (failed + best.len()) / 2;
        let ring = search::search(ground, middle, watch)?;
        if ring.doubled_area() <= bound {
            best = ring;
        } else {
            failed = middle;
        }
    }
    Ok(best.points())
}

/// The border of a silhouette whose islands are joined; made coarser until it is short enough.
fn ground(mut joined: Silhouette, watch: &mut Watch<'_>) -> Result<Option<Ground>, Stopped> {
    loop {
        border::fill_pinches(&mut joined.cells);
        if let Some(corners) = border::trace(&joined, MOST_CORNERS) {
            return Ok(Some(Ground::new(corners, joined.cell, joined.size)));
        }
        if joined.cells.width() <= 1 && joined.cells.height() <= 1 {
            return Ok(None);
        }
        joined = joined.coarser(watch)?;
    }
}
