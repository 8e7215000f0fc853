//! `GET /docs`: a page that shows the description of the API and tries it out.

use super::Api;
use crate::error::ApiError;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get};
use std::sync::Arc;
use utoipa_swagger_ui::Config;

/// The page needs its own scripts, styles that these set, icons in its style sheet, and the API.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The assets change with the program only.
const CACHE: &str = "private, max-age=3600";

/// The paths of the page and its assets, and what serves them.
pub(super) fn routes() -> [(&'static str, MethodRouter<Api>); 3] {
    [
        ("/docs", get(async || file("index.html"))),
        // The page's links are relative to `/docs`, so that a proxy may put it anywhere.
        ("/docs/", get(async || Redirect::permanent("../docs"))),
        (
            "/docs/{file}",
            get(async |Path(name): Path<String>| file(&name)),
        ),
    ]
}

fn file(name: &str) -> Response {
    let config = Config::from("openapi.json").validator_url("none");
    let found = utoipa_swagger_ui::serve(name, Arc::new(config));
    let Ok(Some(file)) = found else {
        return ApiError::of_status(StatusCode::NOT_FOUND).into_response();
    };
    let bytes = match name {
        "index.html" => page(&file.bytes).into_bytes(),
        _ => file.bytes.into_owned(),
    };
    let headers = [
        (CONTENT_TYPE, file.content_type),
        (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (CACHE_CONTROL, CACHE.to_owned()),
    ];
    (headers, bytes).into_response()
}

/// The page with links to assets below its own path.
fn page(html: &[u8]) -> String {
    let html = String::from_utf8_lossy(html);
    let html = html.replace("=\"./", "=\"docs/");
    html.replace("href=\"index.css", "href=\"docs/index.css")
}
