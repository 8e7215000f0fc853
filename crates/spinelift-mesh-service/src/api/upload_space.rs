//! How much disk the images take that came with jobs.

use crate::error::ApiError;
use crate::storage::Storage;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a measurement is good for: a folder of thousands of files takes a while.
const FRESH: Duration = Duration::from_secs(1);

/// Keeps all uploaded images together within `MAX_UPLOAD_STORAGE`.
///
/// What is stored is counted; what is removed, by whoever that is, shows when it is measured, which
/// is done only when there seems to be no room left.
pub(crate) struct UploadSpace {
    limit: u64,
    known: tokio::sync::Mutex<Known>,
    storing: Arc<AtomicU64>,
}

#[derive(Default)]
struct Known {
    /// What was measured, and what was stored since.
    bytes: u64,
    measured: Option<Instant>,
}

/// Room for an image that is being stored.
pub(super) struct Room {
    bytes: u64,
    storing: Arc<AtomicU64>,
}

impl UploadSpace {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            known: tokio::sync::Mutex::default(),
            storing: Arc::default(),
        }
    }

    /// Room for an image of so many bytes, or the answer that there is none.
    pub(super) async fn take(&self, bytes: u64, storage: &Storage) -> Result<Room, ApiError> {
        let mut known = self.known.lock().await;
        if known.measured.is_none() || known.bytes.saturating_add(bytes) > self.limit {
            self.measure(&mut known, storage).await?;
        }
        if known.bytes.saturating_add(bytes) > self.limit {
            return Err(ApiError::unavailable(
                "UPLOAD_STORAGE_FULL",
                format!(
                    "Uploaded images that wait for their jobs take all of the {} bytes that \
                     MAX_UPLOAD_STORAGE allows; nothing was accepted",
                    self.limit
                ),
                json!({ "max_upload_storage": self.limit }),
            ));
        }
        known.bytes += bytes;
        self.storing.fetch_add(bytes, Ordering::SeqCst);
        Ok(Room {
            bytes,
            storing: Arc::clone(&self.storing),
        })
    }

    async fn measure(&self, known: &mut Known, storage: &Storage) -> Result<(), ApiError> {
        if known.measured.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        // Begun before, so an image that is stored meanwhile counts twice rather than not at all.
        let storing = self.storing.load(Ordering::SeqCst);
        let stored = storage.uploads_size().await.map_err(|error| {
            tracing::error!(%error, "the uploaded images cannot be measured");
            ApiError::unavailable(
                "STORAGE_UNAVAILABLE",
                "The image cannot be stored at the moment; nothing was accepted",
                json!({}),
            )
        })?;
        known.bytes = stored.saturating_add(storing);
        known.measured = Some(Instant::now());
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.storing.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}
