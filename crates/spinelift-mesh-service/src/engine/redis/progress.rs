//! Telling the server how far jobs have come: only the latest of each, and never from the thread
//! that computes.

use super::Shared;
use super::scripts::PROGRESS;
use crate::engine::EngineError;
use crate::job::JobId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

/// Pause between two messages: what is made meanwhile goes into the next.
const PAUSE: Duration = Duration::from_millis(20);

/// How far an attempt has come.
pub(super) struct Made {
    pub(super) id: JobId,
    pub(super) token: String,
    pub(super) percent: u8,
}

/// Passes on what is made, for ever.
pub(super) async fn run(shared: Arc<Shared>, mut made: UnboundedReceiver<Made>) {
    while let Some(first) = made.recv().await {
        let mut latest = HashMap::from([(first.id, (first.token, first.percent))]);
        while let Ok(next) = made.try_recv() {
            latest.insert(next.id, (next.token, next.percent));
        }
        if let Err(error) = send(&shared, latest).await {
            tracing::debug!(%error, "progress was not told");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Tells of all that runs here what has not been told.
pub(super) async fn flush(shared: &Shared) -> Result<(), EngineError> {
    let running = shared.held.all().into_iter();
    let latest = running.filter_map(|(id, token)| {
        let percent = shared.held.percent(&id);
        (percent > 0).then_some((id, (token, percent)))
    });
    let latest: HashMap<_, _> = latest.collect();
    match latest.is_empty() {
        true => Ok(()),
        false => send(shared, latest).await,
    }
}

async fn send(shared: &Shared, latest: HashMap<JobId, (String, u8)>) -> Result<(), EngineError> {
    let rows = latest
        .into_iter()
        .map(|(id, (token, percent))| (id, token, percent.to_string()));
    let rows: Vec<_> = rows.collect();
    let args = rows
        .iter()
        .flat_map(|(id, token, percent)| [id.as_str(), token, percent]);
    let args: Vec<_> = args.collect();
    shared.link.run::<u8>(&PROGRESS, &args).await.map(|_| ())
}
