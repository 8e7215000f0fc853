//! Which path leads to which endpoint.

use super::delete::delete_named;
use super::{
    Api, batch, cancel, delete, deliveries, docs, events, generate, list, openapi, presets, result,
    status, upload, validate,
};
use crate::settings::Settings;
use axum::extract::DefaultBodyLimit;
use axum::{Router, routing};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The endpoints below the API prefix, and their description.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    // MAX_REQUEST_SIZE bounds forms, too.
    let upload = OpenApiRouter::new()
        .routes(routes!(upload::upload))
        .layer(DefaultBodyLimit::disable());
    OpenApiRouter::new()
        .routes(routes!(generate::generate))
        .merge(upload)
        .routes(routes!(batch::batch))
        .routes(routes!(list::list))
        .routes(routes!(status::status))
        .routes(routes!(result::result))
        .routes(routes!(events::events))
        .routes(routes!(cancel::cancel))
        .routes(routes!(deliveries::deliveries))
        .routes(routes!(deliveries::replay))
        .routes(routes!(delete::delete))
        // A job may have the name of an endpoint.
        .route("/mesh/generate", routing::delete(delete_named::<0>))
        .route("/mesh/upload", routing::delete(delete_named::<1>))
        .route("/mesh/batch", routing::delete(delete_named::<2>))
        .routes(routes!(presets::presets))
        .routes(routes!(validate::validate))
}

/// The endpoints that describe the others.
pub(crate) fn described(settings: &Settings) -> Router<Api> {
    let document = openapi::serve(&openapi::document(settings));
    let routes = Router::new().route("/openapi.json", document);
    let docs = docs::routes().into_iter();
    docs.fold(routes, |routes, (path, page)| routes.route(path, page))
}
