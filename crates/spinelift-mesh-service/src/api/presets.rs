//! `GET …/presets`: named sets of parameters.

use super::openapi::NormalizedParameters;
use axum::Json;
use serde::Serialize;
use spinelift_mesh::parameters::{PRESETS, Preset};
use utoipa::ToSchema;

/// All presets.
#[derive(Serialize, ToSchema)]
pub(super) struct PresetList {
    /// Those of the reference's outline from the finest to the coarsest, then those that lose no
    /// pixel.
    #[schema(value_type = Vec<PresetSchema>)]
    presets: &'static [Preset],
}

/// A set of parameters under a name.
#[derive(ToSchema)]
#[schema(as = Preset)]
#[allow(dead_code, reason = "describes the library's `Preset`")]
pub(super) struct PresetSchema {
    /// The name for `preset`.
    #[schema(example = "balanced")]
    name: String,
    /// The name for people.
    #[schema(example = "Balanced")]
    title: String,
    /// When to use it.
    description: String,
    /// Its values.
    #[schema(value_type = NormalizedParameters)]
    parameters: (),
}

/// The presets, whose names `preset` takes.
#[utoipa::path(
    get, path = "/presets", tag = "parameters", operation_id = "list_presets",
    responses((status = 200, description = "All presets.", body = PresetList)),
)]
pub(super) async fn presets() -> Json<PresetList> {
    Json(PresetList { presets: PRESETS })
}
