//! The engine by itself: what must hold for every implementation.

mod batches;
mod file;
mod outbox;
mod queue;
mod removal;
mod results;

use serde_json::json;
use spinelift_mesh::{MeshParameters, Step};
use spinelift_mesh_service::RedactedUrl;
use spinelift_mesh_service::engine::sqlite::{Bounds, Opened, SqliteEngine};
use spinelift_mesh_service::engine::{
    Accepted, Claim, EngineError, Fenced, JobEngine, NewJob, Outbox, Outcome, ResultIndex,
    ResultKey, ResultObject, StoredResult,
};
use spinelift_mesh_service::job::{JobError, JobId, JobRequest, JobState, Progress, Source};
use std::path::Path;

const BOUNDS: Bounds = Bounds {
    queue_length: 1000,
    jobs_per_client: 1000,
    lanes: 1000,
    client_lanes: 1000,
    delivery_lanes: 1000,
    attempts: 3,
};

fn open(directory: &Path) -> Opened {
    SqliteEngine::open(&directory.join("jobs.db"), BOUNDS).unwrap()
}

fn id(text: &str) -> JobId {
    JobId::parse(text).unwrap()
}

fn url(text: &str) -> RedactedUrl {
    RedactedUrl::new(text.parse().unwrap())
}

fn request() -> JobRequest {
    JobRequest {
        source: Source::Url(url("http://example.com/a.png")),
        parameters: MeshParameters::default(),
        callback_url: None,
    }
}

fn job(name: &str) -> NewJob {
    NewJob {
        id: id(name),
        request: request(),
        base_url: "http://mesh.example".into(),
        client: "client".into(),
        request_id: None,
    }
}

/// A job whose end is to be told.
fn told_job(name: &str) -> NewJob {
    let mut job = job(name);
    job.request.callback_url = Some(url("http://receiver.example/callback"));
    job
}

/// Without the lane: the image is loaded at once.
async fn claim(engine: &SqliteEngine) -> Claim {
    engine.claim().await.unwrap().unwrap().0
}

async fn state(engine: &SqliteEngine, name: &str) -> JobState {
    engine.get(&id(name)).await.unwrap().unwrap().state
}

fn key(image: u8) -> ResultKey {
    ResultKey::new(&[image; 32], &MeshParameters::default())
}

/// A name that no other result has.
fn object(image: u8) -> ResultObject {
    let name = format!("{}-{:016x}", key(image).as_str(), fastrand::u64(..));
    ResultObject::parse(&name).unwrap()
}

/// A result of 100 bytes of its own.
fn result(image: u8) -> (Outcome, ResultObject) {
    let (key, object) = (key(image), object(image));
    let result = StoredResult::New {
        key,
        object: object.clone(),
        bytes: 100,
    };
    (Outcome::Completed(result), object)
}

fn completed() -> Outcome {
    result(fastrand::u8(..)).0
}

fn failed() -> Outcome {
    Outcome::Failed {
        error: JobError::new("CODE", "why", json!({ "n": 1 })),
        percent: 40,
    }
}
