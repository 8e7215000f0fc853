//! The mesh service: HTTP, jobs, storage and callbacks around the `spinelift-mesh` library.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use spinelift_mesh_service::{Service, Settings};
//!
//! let service = Service::start(Settings::from_env()?).await?;
//! println!("listening on http://{}", service.local_addr());
//! service.serve(std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod access_log;
mod address;
mod api;
mod auth;
mod backend;
mod callback;
mod client;
mod clock;
mod cors;
pub mod engine;
mod error;
mod fault;
mod health;
pub mod job;
mod json;
mod memory;
pub mod metrics;
mod outage;
mod overflow;
mod pages;
mod private;
mod redacted;
mod request;
mod request_body;
mod request_id;
mod result_url;
mod router;
mod s3;
mod server;
mod service;
pub mod settings;
mod source;
mod stopwatch;
mod storage;
mod trace;
mod worker;

pub use address::{AllowedBucket, AllowedHost, OutboundError};
pub use api::openapi_document;
pub use auth::ApiKeys;
pub use backend::OpenBackendError;
pub use callback::WebhookSecrets;
pub use cors::CorsOrigins;
pub use memory::BudgetTooSmall;
pub use redacted::{RedactedUrl, Secret};
pub use s3::S3Error;
pub use service::{ServeError, Service, StartError};
pub use settings::{Settings, SettingsError};
pub use storage::OpenStorageError;
