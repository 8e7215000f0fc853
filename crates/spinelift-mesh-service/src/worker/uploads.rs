//! The images that come with jobs, from before their jobs are accepted until those have ended.

use super::flight::{Flight, Flights};
use crate::engine::{EngineError, Filter, JobEngine, StateFilter};
use crate::job::{JobId, Source};
use crate::storage::Storage;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;

/// Keeps the images. An id can be used again once its job is deleted, and the same image can come
/// with it again, so who stores or removes one takes his turn first.
pub(crate) struct Uploads {
    engine: Arc<dyn JobEngine>,
    storage: Storage,
    /// By the names of the images.
    turns: Flights<String>,
}

impl Uploads {
    pub(crate) fn new(engine: Arc<dyn JobEngine>, storage: Storage) -> Self {
        Self {
            engine,
            storage,
            turns: Flights::default(),
        }
    }

    /// Waits until nobody else stores or removes the image of a job.
    pub(crate) async fn enter(&self, id: &JobId, digest: &str) -> Flight {
        let name = self.storage.upload_name(id, digest);
        self.turns.enter(&name).await
    }

    /// Removes an image, unless its job is yet to use it; the job's end removes it then.
    pub(crate) async fn remove_unneeded(&self, id: &JobId, digest: &str) {
        let _turn = self.enter(id, digest).await;
        let needed = match self.engine.get(id).await {
            Ok(job) => {
                job.is_some_and(|job| job.request.source.is_upload(digest) && !job.state.is_final())
            }
            // It may be; what is left over is removed later.
            Err(_) => true,
        };
        if !needed {
            self.storage.remove_upload(id, digest).await;
        }
    }

    /// Removes images from before a time whose jobs do not wait or run.
    pub(crate) async fn remove_left(&self, before: DateTime<Utc>) -> Result<(), EngineError> {
        let needed = self.needed().await?;
        let mut old = pin!(self.storage.uploads_before(before));
        while let Some(name) = old.next().await {
            if !needed.contains(&name) {
                let _turn = self.turns.enter(&name).await;
                self.storage.remove_upload_before(&name, before).await;
            }
        }
        Ok(())
    }

    async fn needed(&self) -> Result<HashSet<String>, EngineError> {
        let mut needed = HashSet::new();
        let mut filter = Filter {
            states: vec![StateFilter::Queued, StateFilter::Running],
            limit: 500,
            ..Filter::default()
        };
        loop {
            let page = self.engine.list(filter.clone()).await?;
            for job in &page.jobs {
                if let Source::Upload { digest } = &job.request.source {
                    needed.insert(self.storage.upload_name(&job.id, digest));
                }
            }
            filter.after = page.next;
            if filter.after.is_none() {
                return Ok(needed);
            }
        }
    }
}
