//! Where results and uploaded images are kept.

#[cfg(test)]
mod conformance;
mod draft;
mod s3;

pub(crate) use draft::Draft;

use crate::engine::{Owner, ResultKey, ResultObject};
use crate::job::JobId;
use crate::private;
use crate::s3::S3Error;
use axum::body::Bytes;
use chrono::{DateTime, Utc};
use draft::Drafts;
use futures_util::stream::{Stream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{Attributes, ObjectStore, ObjectStoreExt, PutOptions, PutPayload};
use s3::Bucket;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The objects that the service keeps: results, and images that clients sent along.
#[derive(Clone)]
pub(crate) struct Storage {
    store: Arc<dyn ObjectStore>,
    owner: Owner,
    drafts: Drafts,
    /// Of S3; none for a directory.
    bucket: Option<Arc<Bucket>>,
}

/// The storage cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenStorageError {
    /// The directory cannot be made or written to.
    #[error("results cannot be stored in {} (STORAGE_PATH): {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store cannot use it.
    #[error("results cannot be stored in {} (STORAGE_PATH): {source}", path.display())]
    Store {
        /// The directory.
        path: PathBuf,
        /// What the store said.
        source: object_store::Error,
    },
    /// The setting is missing.
    #[error("STORAGE_BACKEND=s3 needs S3_BUCKET, the bucket to keep results in")]
    NoBucket,
    /// The S3 server cannot be used with these settings.
    #[error(transparent)]
    S3(#[from] S3Error),
    /// The bucket cannot be used.
    #[error("results cannot be stored in the S3 bucket {bucket}: {reason}")]
    Bucket {
        /// `S3_BUCKET`.
        bucket: String,
        /// What is wrong, and which setting may be.
        reason: String,
    },
}

/// An object could not be written, read or removed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct StorageError(#[from] object_store::Error);

impl StorageError {
    /// Whether there is no such object, rather than no access to it.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.0, object_store::Error::NotFound { .. }) && !s3::is_no_bucket(&self.0)
    }
}

impl Storage {
    /// Objects as files below a directory, which is made if it does not exist.
    pub(crate) fn local(directory: &Path, owner: Owner) -> Result<Self, OpenStorageError> {
        let io = |source| OpenStorageError::Directory {
            path: directory.to_owned(),
            source,
        };
        private::create_folder(directory).map_err(io)?;
        probe(directory).map_err(io)?;
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
            bucket: None,
        })
    }

    /// A result that is to be stored under a new name.
    pub(crate) fn draft(&self, key: &ResultKey) -> Draft {
        Draft::begin(self, key)
    }

    /// Stores a result; it is safe on disk afterwards.
    async fn put_result(&self, object: &ResultObject, result: Bytes) -> Result<(), StorageError> {
        let key = self.result_key(object);
        let attributes = match self.bucket {
            // Files have none.
            None => Attributes::new(),
            Some(_) => s3::result_attributes(),
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
                Err(error) => return Err(StorageError(error)),
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

    /// The name under which the image of a job is kept.
    pub(crate) fn upload_name(&self, id: &JobId, digest: &str) -> String {
        self.upload_key(id, digest).to_string()
    }

    /// The place of an upload. A hash, because ids come from clients: no `..`, no device names, no
    /// two ids that are one on a file system without case.
    fn upload_key(&self, id: &JobId, digest: &str) -> Key {
        let mut name = String::with_capacity(64);
        for byte in Sha256::digest(id.as_str()) {
            let _ = write!(name, "{byte:02x}");
        }
        self.key(&format!("{UPLOADS}/{}/{name}-{digest}", self.owner))
    }

    /// The place of a result.
    fn result_key(&self, object: &ResultObject) -> Key {
        let name = object.as_str();
        match self.bucket {
            // Two hex digits make 256 directories.
            None => {
                let folder: String = name.chars().take(2).collect();
                Key::from(format!("{RESULTS}/{folder}/{name}.json"))
            }
            // What is one's own can be listed without what is others'.
            Some(_) => self.key(&format!("{RESULTS}/{}/{name}.json", self.owner)),
        }
    }

    /// Where all own results are, and in a directory those of others.
    fn own_results(&self) -> Key {
        match self.bucket {
            None => Key::from(RESULTS),
            Some(_) => self.key(&format!("{RESULTS}/{}", self.owner)),
        }
    }

    /// Where all own images that came with jobs are.
    fn own_uploads(&self) -> Key {
        self.key(&format!("{UPLOADS}/{}", self.owner))
    }

    fn key(&self, name: &str) -> Key {
        match &self.bucket {
            None => Key::from(name),
            Some(bucket) => bucket.key(name),
        }
    }

    /// Whether objects can be written, read and removed at the moment.
    pub(crate) async fn check(&self) -> Result<(), StorageError> {
        // Several services may use one storage.
        let key = match &self.bucket {
            None => Key::from(format!("check-{}", self.owner)),
            Some(bucket) => bucket.check_key(&self.owner),
        };
        let ok = Bytes::from_static(b"ok");
        self.put(&key, ok, Attributes::new()).await?;
        self.get(&key).await?;
        self.store.delete(&key).await.map_err(StorageError)
    }

    /// The time, as the storage tells it, if leftovers are to be looked for now.
    pub(crate) async fn begin_sweep(&self) -> Result<Option<DateTime<Utc>>, StorageError> {
        match &self.bucket {
            // The time of the system, as files have it.
            None => Ok(Some(Utc::now())),
            Some(bucket) => self.begin_sweep_of(bucket).await,
        }
    }

    /// The settings that say where the storage is, for messages.
    pub(crate) fn settings(&self) -> &'static str {
        match self.bucket {
            None => "STORAGE_PATH",
            Some(_) => "S3_ENDPOINT, S3_BUCKET",
        }
    }

    /// What to check if the storage fails.
    pub(crate) fn remedy(&self) -> &'static str {
        match self.bucket {
            None => "the disk of STORAGE_PATH for space and permissions",
            Some(_) => "the S3 server (S3_ENDPOINT), the bucket (S3_BUCKET) and the credentials",
        }
    }

    async fn size(&self, key: &Key) -> Result<u64, StorageError> {
        match self.store.head(key).await {
            Ok(found) => Ok(found.size),
            // An answer to HEAD has no body, so it does not tell whether the bucket is gone.
            Err(object_store::Error::NotFound { .. }) if self.bucket.is_some() => {
                let found = self.store.get(key).await.map_err(StorageError)?;
                Ok(found.meta.size)
            }
            Err(error) => Err(StorageError(error)),
        }
    }

    async fn put(
        &self,
        key: &Key,
        bytes: Bytes,
        attributes: Attributes,
    ) -> Result<(), StorageError> {
        let options = PutOptions {
            attributes,
            ..PutOptions::default()
        };
        let stored = self
            .store
            .put_opts(key, PutPayload::from(bytes), options)
            .await;
        stored.map(|_| ()).map_err(StorageError)
    }

    async fn get(&self, key: &Key) -> Result<Bytes, StorageError> {
        let found = self.store.get(key).await.map_err(StorageError)?;
        found.bytes().await.map_err(StorageError)
    }

    async fn remove(&self, key: &Key) {
        match self.store.delete(key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => tracing::warn!(%key, %error, "an object could not be removed"),
        }
    }
}

/// Where results and uploads are.
const RESULTS: &str = "results";
const UPLOADS: &str = "uploads";

/// Most results that are looked up together.
const AT_ONCE: usize = 500;

/// Most objects that are removed at a time.
const REMOVALS: usize = 16;

/// Removes what writes of this owner that a crash cut off have left: files that were staged before
/// `start` and never renamed. Best effort; a folder of very many files takes a while.
pub(crate) fn remove_leftovers(directory: &Path, owner: &Owner, start: SystemTime) {
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let results = entries(&directory.join(RESULTS)).map(|folder| folder.path());
    let uploads = directory.join(UPLOADS).join(owner.to_string());
    for folder in results.chain([uploads.clone()]) {
        for file in entries(&folder) {
            let name = file.file_name();
            let Some(staged) = name.to_str().and_then(staged) else {
                continue;
            };
            // Another service may be writing beside this one.
            let is_own = folder == uploads || is_result_of(staged, owner);
            let modified = || file.metadata().and_then(|metadata| metadata.modified());
            if is_own && modified().is_ok_and(|modified| modified < start) {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }
}

/// The name of the object that a file is staged for: the store stages `NAME` as `NAME#1` or the
/// like.
fn staged(file: &str) -> Option<&str> {
    file.rsplit_once('#').map(|(name, _)| name)
}

fn is_result_of(file: &str, owner: &Owner) -> bool {
    let object = file.strip_suffix(".json").and_then(ResultObject::parse);
    object.is_some_and(|object| object.is_of(owner))
}

/// Finds out at start, rather than with the first result, that a directory is read-only.
fn probe(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!(".probe-{}", std::process::id()));
    std::fs::write(&path, b"")?;
    std::fs::remove_file(&path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::sqlite::{Bounds, SqliteEngine};
    use spinelift_mesh::MeshParameters;
    use std::time::Duration;
    use tempfile::TempDir;

    async fn engine() -> (SqliteEngine, Owner, TempDir) {
        let bounds = Bounds {
            queue_length: 1,
            jobs_per_client: 1,
            lanes: 1,
            client_lanes: 1,
            delivery_lanes: 1,
            attempts: 1,
        };
        let jobs = tempfile::tempdir().expect("temporary directory");
        let opened = SqliteEngine::open(&jobs.path().join("jobs.db"), bounds).expect("opens");
        let owner = Owner::of(&opened.engine).await.expect("made");
        (opened.engine, owner, jobs)
    }

    async fn storage(directory: &Path) -> Storage {
        let (_, owner, _jobs) = engine().await;
        Storage::local(directory, owner).expect("opens")
    }

    fn key() -> ResultKey {
        ResultKey::new(&[7; 32], &MeshParameters::default())
    }

    #[tokio::test]
    async fn no_id_leads_out_of_the_directory() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let storage = storage(directory.path()).await;
        let upload_key = |id: &str| {
            let id = JobId::parse(id).expect(id);
            storage.upload_key(&id, &"ab".repeat(32))
        };
        for id in ["a..b", "...", "~", "con", "A", "a"] {
            let key = upload_key(id).to_string();
            let plain = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
            let parts: Vec<_> = key.split('/').collect();
            assert!(
                parts.len() == 3 && parts[0] == "uploads" && plain(parts[1]) && plain(parts[2]),
                "{key}"
            );
        }
        let keys = ["A", "a"].map(upload_key);
        assert_ne!(keys[0], keys[1]);
    }

    #[tokio::test]
    async fn own_leftovers_of_a_crash_are_removed_and_nothing_else() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let [(_, own, _), (_, other, _)] = [engine().await, engine().await];
        let results = directory.path().join("results/ab");
        let uploads = [&own, &other].map(|owner| {
            let folder = directory.path().join(format!("uploads/{owner}"));
            std::fs::create_dir_all(&folder).expect("made");
            folder.join("ab-cd#1")
        });
        std::fs::create_dir_all(&results).expect("made");
        let names = [&own, &other].map(|owner| ResultObject::new(&key(), owner));
        let staged = names
            .each_ref()
            .map(|name| results.join(format!("{name}.json#1")));
        let whole = results.join(format!("{}.json", names[0]));
        for path in uploads.iter().chain(&staged).chain([&whole]) {
            std::fs::write(path, b"{}").expect("written");
        }
        let written = staged[0].metadata().and_then(|file| file.modified());
        let written = written.expect("known");
        remove_leftovers(directory.path(), &own, written - Duration::from_secs(60));
        assert!(
            staged[0].exists() && uploads[0].exists(),
            "they may be in use"
        );
        remove_leftovers(directory.path(), &own, written + Duration::from_secs(60));
        assert!(!staged[0].exists() && !uploads[0].exists());
        assert!(
            staged[1].exists() && uploads[1].exists(),
            "they are another's"
        );
        assert!(whole.exists());
    }

    #[tokio::test]
    async fn a_result_is_read_back_until_it_is_removed() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let storage = storage(&directory.path().join("new/sub")).await;
        let mut drafts = [storage.draft(&key()), storage.draft(&key())];
        let [object, other] = drafts.each_ref().map(|draft| draft.object().clone());
        assert!(
            storage
                .get_result(&object)
                .await
                .expect_err("none")
                .is_missing()
        );
        assert!(!storage.has_result(&object).await.expect("known"));
        for draft in &mut drafts {
            let stored = draft.write(Bytes::from_static(b"{}")).await;
            stored.expect("stored");
        }
        assert!(storage.has_result(&object).await.expect("known"));
        let read = storage.get_result(&object).await.expect("there");
        assert_eq!(read, Bytes::from_static(b"{}"));

        let later = Utc::now() + Duration::from_secs(60);
        let found = storage.results_before(later).concat().await;
        assert_eq!(found, [], "they may be recorded yet");
        drop(drafts);
        let mut found: Vec<_> = storage.results_before(later).concat().await;
        found.sort();
        let mut both = vec![object.clone(), other.clone()];
        both.sort();
        assert_eq!(found, both);
        storage.remove_results(std::slice::from_ref(&object)).await;
        assert_eq!(storage.results_before(later).concat().await, [other]);
        let stranger = self::storage(&directory.path().join("new/sub")).await;
        let strange: Vec<ResultObject> = stranger.results_before(later).concat().await;
        assert_eq!(strange, [], "they are another's");
        storage.check().await.expect("works");
    }

    #[tokio::test]
    async fn a_draft_that_is_discarded_goes_once_it_is_written() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let (engine, owner, _jobs) = engine().await;
        let storage = Storage::local(directory.path(), owner).expect("opens");
        for _ in 0..20 {
            let mut draft = storage.draft(&key());
            let object = draft.object().clone();
            // Nobody waits for the write, which goes on.
            tokio::select! {
                biased;
                () = tokio::task::yield_now() => {}
                _ = draft.write(Bytes::from(vec![b' '; 1 << 20])) => {}
            }
            draft.discard(&engine).await;
            assert!(!storage.has_result(&object).await.expect("known"));
        }
    }

    #[tokio::test]
    async fn uploads_are_removed_by_name_unless_they_came_again() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let storage = storage(directory.path()).await;
        let id = JobId::parse("a").expect("valid");
        let stored = storage.put_upload(&id, "d1", Bytes::from_static(b"x"));
        stored.await.expect("stored");
        assert_eq!(storage.uploads_size().await.expect("known"), 1);
        let minute = Duration::from_secs(60);
        let (earlier, later) = (Utc::now() - minute, Utc::now() + minute);
        let found: Vec<_> = storage.uploads_before(earlier).collect().await;
        assert!(found.is_empty());
        let found: Vec<_> = storage.uploads_before(later).collect().await;
        assert_eq!(found, [storage.upload_name(&id, "d1")]);
        storage.remove_upload_before(&found[0], earlier).await;
        assert!(storage.get_upload(&id, "d1").await.is_ok());
        storage.remove_upload_before(&found[0], later).await;
        let gone = storage.get_upload(&id, "d1").await.expect_err("removed");
        assert!(gone.is_missing());
    }
}
