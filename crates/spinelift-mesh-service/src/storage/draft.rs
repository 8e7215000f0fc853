//! Results that are not recorded yet.

use super::{Storage, StorageError};
use crate::engine::{JobEngine, ResultKey, ResultObject};
use axum::body::Bytes;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// The drafts that there are. The index knows none of them, and yet they are no leftovers.
#[derive(Clone, Default)]
pub(super) struct Drafts(Arc<Mutex<HashSet<ResultObject>>>);

impl Drafts {
    pub(super) fn contains(&self, object: &ResultObject) -> bool {
        self.0.lock().contains(object)
    }
}

/// A result that is being stored, or is stored and waits to be recorded.
pub(crate) struct Draft {
    storage: Storage,
    object: ResultObject,
    /// The write that has not returned yet.
    writing: Option<JoinHandle<Result<(), StorageError>>>,
}

impl Draft {
    pub(super) fn begin(storage: &Storage, key: &ResultKey) -> Self {
        let object = ResultObject::new(key, &storage.owner);
        storage.drafts.0.lock().insert(object.clone());
        Self {
            storage: storage.clone(),
            object,
            writing: None,
        }
    }

    /// Its name.
    pub(crate) fn object(&self) -> &ResultObject {
        &self.object
    }

    /// Stores it; it is safe on disk afterwards. A write goes on though nobody waits for it any
    /// more: the draft remembers it.
    pub(crate) async fn write(&mut self, result: Bytes) -> Result<(), StorageError> {
        let (storage, object) = (self.storage.clone(), self.object.clone());
        let writing = tokio::spawn(async move { storage.put_result(&object, result).await });
        let written = self.writing.insert(writing).await;
        self.writing = None;
        written.unwrap_or_else(|source| Err(object_store::Error::JoinError { source }.into()))
    }

    /// Removes it, unless it has been recorded after all. Nobody may be about to record it.
    pub(crate) async fn discard(mut self, engine: &dyn JobEngine) {
        if let Some(writing) = self.writing.take() {
            // Whatever has become of it.
            let _ = writing.await;
        }
        match engine.unused(vec![self.object.clone()]).await {
            Ok(unused) => self.storage.remove_results(&unused).await,
            Err(error) => {
                tracing::warn!(%error, object = %self.object, "a result may be left for a while");
            }
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.storage.drafts.0.lock().remove(&self.object);
    }
}
