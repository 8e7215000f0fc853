//! Where results and uploaded images are kept.

#[cfg(test)]
mod conformance;
mod draft;
mod error;
mod folder;
mod leftovers;
mod place;
mod s3;
#[cfg(test)]
mod tests;

pub(crate) use draft::Draft;
pub use error::OpenStorageError;
pub(crate) use error::StorageError;
pub(crate) use leftovers::remove_leftovers;

use crate::engine::{Owner, ResultKey, ResultObject};
use crate::job::JobId;
use axum::body::Bytes;
use chrono::{DateTime, Utc};
use draft::Drafts;
use folder::Folder;
use futures_util::stream::{Stream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{Attributes, ObjectStore, ObjectStoreExt, PutOptions, PutPayload};
use s3::Bucket;
use std::path::Path;
use std::sync::Arc;

/// The objects that the service keeps: results, and images that clients sent along.
#[derive(Clone)]
pub(crate) struct Storage {
    store: Arc<dyn ObjectStore>,
    owner: Owner,
    drafts: Drafts,
    home: Home,
}

/// Where objects are, with what is particular to it.
#[derive(Clone)]
enum Home {
    Folder(Folder),
    Bucket(Arc<Bucket>),
}

impl Storage {
    /// Objects as files below a directory, which is made if it does not exist.
    pub(crate) fn local(directory: &Path, owner: Owner) -> Result<Self, OpenStorageError> {
        let io = |source| OpenStorageError::Directory {
            path: directory.to_owned(),
            source,
        };
        let folder = Folder::open(directory).map_err(io)?;
        let store = LocalFileSystem::new_with_prefix(directory)
            .map_err(|source| OpenStorageError::Store {
                path: directory.to_owned(),
                source,
            })?
            // Each file is written aside, synced, renamed and its directory synced: a job is
            // marked completed only after `put`, so its result must outlive a power cut.
            .with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            owner,
            drafts: Drafts::default(),
            home: Home::Folder(folder),
        })
    }

    /// A result that is to be stored under a new name.
    pub(crate) fn draft(&self, key: &ResultKey) -> Draft {
        Draft::begin(self, key)
    }

    /// Stores a result; it is safe on disk afterwards.
    async fn put_result(&self, object: &ResultObject, result: Bytes) -> Result<(), StorageError> {
        let key = self.result_key(object);
        let attributes = match &self.home {
            // Files have none.
            Home::Folder(_) => Attributes::new(),
            Home::Bucket(_) => s3::result_attributes(),
        };
        self.put(&key, result, attributes).await
    }

    /// A result.
    pub(crate) async fn get_result(&self, object: &ResultObject) -> Result<Bytes, StorageError> {
        self.get(&self.result_key(object)).await
    }

    /// Whether a result is there.
    pub(crate) async fn has_result(&self, object: &ResultObject) -> Result<bool, StorageError> {
        match self.size(&self.result_key(object)).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes results; what cannot be removed is left to the sweeper.
    pub(crate) async fn remove_results(&self, objects: &[ResultObject]) {
        let keys: Vec<_> = objects
            .iter()
            .map(|object| self.result_key(object))
            .collect();
        let keys = futures_util::stream::iter(keys);
        let removed = keys.map(|key| async move { self.remove(&key).await });
        removed
            .buffer_unordered(REMOVALS)
            .for_each(std::future::ready)
            .await;
    }

    /// All own results that were stored before a time, some at a time, without drafts. What was a
    /// draft until a moment before is recorded by now, so who asks the index next learns of it.
    pub(crate) fn results_before(
        &self,
        time: DateTime<Utc>,
    ) -> impl Stream<Item = Vec<ResultObject>> + Send + use<> {
        let all = self.store.list(Some(&self.own_results()));
        let (owner, drafts) = (self.owner.clone(), self.drafts.clone());
        let old = all.filter_map(move |found| {
            let old = found.ok().filter(|found| found.last_modified < time);
            let name = old.and_then(|found| {
                let name = found.location.filename()?.strip_suffix(".json")?;
                let object = ResultObject::parse(name)?;
                (object.is_of(&owner) && !drafts.contains(&object)).then_some(object)
            });
            std::future::ready(name)
        });
        old.chunks(AT_ONCE)
    }

    /// Stores an image that came with a job; it is safe on disk afterwards.
    pub(crate) async fn put_upload(
        &self,
        id: &JobId,
        digest: &str,
        image: Bytes,
    ) -> Result<(), StorageError> {
        let key = self.upload_key(id, digest);
        self.put(&key, image, Attributes::new()).await
    }

    /// The image that came with a job.
    pub(crate) async fn get_upload(&self, id: &JobId, digest: &str) -> Result<Bytes, StorageError> {
        self.get(&self.upload_key(id, digest)).await
    }

    /// The size of the image that came with a job.
    pub(crate) async fn upload_size(&self, id: &JobId, digest: &str) -> Result<u64, StorageError> {
        self.size(&self.upload_key(id, digest)).await
    }

    /// The size of all own images that came with jobs.
    pub(crate) async fn uploads_size(&self) -> Result<u64, StorageError> {
        let mut all = self.store.list(Some(&self.own_uploads()));
        let mut size = 0;
        while let Some(found) = all.next().await {
            match found {
                Ok(found) => size += found.size,
                // Removed since the folder was read.
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(size)
    }

    /// Removes the image that came with a job.
    pub(crate) async fn remove_upload(&self, id: &JobId, digest: &str) {
        self.remove(&self.upload_key(id, digest)).await;
    }

    /// The names of all own images that came with jobs before a time.
    pub(crate) fn uploads_before(
        &self,
        time: DateTime<Utc>,
    ) -> impl Stream<Item = String> + Send + use<> {
        self.store
            .list(Some(&self.own_uploads()))
            .filter_map(move |found| {
                let old = found.ok().filter(|found| found.last_modified < time);
                std::future::ready(old.map(|found| found.location.to_string()))
            })
    }

    /// Removes an image by its name, unless it has come again since a time.
    pub(crate) async fn remove_upload_before(&self, name: &str, time: DateTime<Utc>) {
        let key = Key::from(name);
        let is_old = |found: object_store::ObjectMeta| found.last_modified < time;
        if self.store.head(&key).await.is_ok_and(is_old) {
            self.remove(&key).await;
        }
    }

    /// Whether objects can be written, read and removed at the moment.
    pub(crate) async fn check(&self) -> Result<(), StorageError> {
        // Several services may use one storage.
        let key = match &self.home {
            Home::Folder(_) => Key::from(format!("check-{}", self.owner)),
            Home::Bucket(bucket) => bucket.check_key(&self.owner),
        };
        let ok = Bytes::from_static(b"ok");
        self.put(&key, ok, Attributes::new()).await?;
        self.get(&key).await?;
        self.store.delete(&key).await.map_err(StorageError::Store)
    }

    /// The time, as the storage tells it, if leftovers are to be looked for now.
    pub(crate) async fn begin_sweep(&self) -> Result<Option<DateTime<Utc>>, StorageError> {
        match &self.home {
            // The time of the system, as files have it.
            Home::Folder(_) => Ok(Some(Utc::now())),
            Home::Bucket(bucket) => self.begin_sweep_of(bucket).await,
        }
    }

    /// The settings that say where the storage is, for messages.
    pub(crate) fn settings(&self) -> &'static str {
        match &self.home {
            Home::Folder(_) => "STORAGE_PATH",
            Home::Bucket(_) => "S3_ENDPOINT, S3_BUCKET",
        }
    }

    /// What to check if the storage fails.
    pub(crate) fn remedy(&self) -> &'static str {
        match &self.home {
            Home::Folder(_) => "the disk of STORAGE_PATH for space and permissions",
            Home::Bucket(_) => {
                "the S3 server (S3_ENDPOINT), the bucket (S3_BUCKET) and the credentials"
            }
        }
    }

    async fn size(&self, key: &Key) -> Result<u64, StorageError> {
        match self.store.head(key).await {
            Ok(found) => Ok(found.size),
            // An answer to HEAD has no body, so it does not tell whether the bucket is gone.
            Err(object_store::Error::NotFound { .. }) if matches!(self.home, Home::Bucket(_)) => {
                let found = self.store.get(key).await?;
                Ok(found.meta.size)
            }
            Err(error) => Err(self.failed(error).await),
        }
    }

    async fn put(
        &self,
        key: &Key,
        bytes: Bytes,
        attributes: Attributes,
    ) -> Result<(), StorageError> {
        // It would be made anew, on another disk.
        if let Home::Folder(folder) = &self.home {
            folder.check().await?;
        }
        let options = PutOptions {
            attributes,
            ..PutOptions::default()
        };
        let stored = self
            .store
            .put_opts(key, PutPayload::from(bytes), options)
            .await;
        stored.map(|_| ()).map_err(StorageError::Store)
    }

    async fn get(&self, key: &Key) -> Result<Bytes, StorageError> {
        match self.store.get(key).await {
            Ok(found) => Ok(found.bytes().await?),
            Err(error) => Err(self.failed(error).await),
        }
    }

    /// Without its folder, an object is not known to be missing.
    async fn failed(&self, error: object_store::Error) -> StorageError {
        match &self.home {
            Home::Folder(folder) => folder.check().await.err().unwrap_or(error.into()),
            Home::Bucket(_) => error.into(),
        }
    }

    async fn remove(&self, key: &Key) {
        match self.store.delete(key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => tracing::warn!(%key, %error, "an object could not be removed"),
        }
    }
}

/// Most results that are looked up together.
const AT_ONCE: usize = 500;

/// Most objects that are removed at a time.
const REMOVALS: usize = 16;
