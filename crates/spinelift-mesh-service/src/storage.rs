//! Where results and uploaded images are kept.

mod draft;

pub(crate) use draft::Draft;

use crate::engine::{Owner, ResultKey, ResultObject};
use crate::job::JobId;
use crate::private;
use axum::body::Bytes;
use chrono::{DateTime, Utc};
use draft::Drafts;
use futures_util::stream::{Stream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
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
}

/// An object could not be written, read or removed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct StorageError(#[from] object_store::Error);

impl StorageError {
    /// Whether there is no such object, rather than no access to it.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.0, object_store::Error::NotFound { .. })
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
        })
    }

    /// A result that is to be stored under a new name.
    pub(crate) fn draft(&self, key: &ResultKey) -> Draft {
        Draft::begin(self, key)
    }

    /// A result.
    pub(crate) async fn get_result(&self, object: &ResultObject) -> Result<Bytes, StorageError> {
        self.get(&result_key(object)).await
    }

    /// Whether a result is there.
    pub(crate) async fn has_result(&self, object: &ResultObject) -> Result<bool, StorageError> {
        match self.store.head(&result_key(object)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(StorageError(error)),
        }
    }

    /// Removes results; what cannot be removed is left to the sweeper.
    pub(crate) async fn remove_results(&self, objects: &[ResultObject]) {
        for object in objects {
            self.remove(&result_key(object)).await;
        }
    }

    /// All own results that were stored before a time, some at a time, without drafts. What was a
    /// draft until a moment before is recorded by now, so who asks the index next learns of it.
    pub(crate) fn results_before(
        &self,
        time: DateTime<Utc>,
    ) -> impl Stream<Item = Vec<ResultObject>> + Send + use<> {
        let all = self.store.list(Some(&Key::from(RESULTS)));
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
        self.put(&self.upload_key(id, digest), image).await
    }

    /// The image that came with a job.
    pub(crate) async fn get_upload(&self, id: &JobId, digest: &str) -> Result<Bytes, StorageError> {
        self.get(&self.upload_key(id, digest)).await
    }

    /// The size of the image that came with a job.
    pub(crate) async fn upload_size(&self, id: &JobId, digest: &str) -> Result<u64, StorageError> {
        let found = self.store.head(&self.upload_key(id, digest)).await;
        found.map(|found| found.size).map_err(StorageError)
    }

    /// The size of all own images that came with jobs.
    pub(crate) async fn uploads_size(&self) -> Result<u64, StorageError> {
        let own = Key::from(format!("{UPLOADS}/{}", self.owner));
        let mut all = self.store.list(Some(&own));
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
        let own = Key::from(format!("{UPLOADS}/{}", self.owner));
        self.store.list(Some(&own)).filter_map(move |found| {
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
        Key::from(format!("{UPLOADS}/{}/{name}-{digest}", self.owner))
    }

    /// Whether objects can be written, read and removed at the moment.
    pub(crate) async fn check(&self) -> Result<(), StorageError> {
        // Several services may use one storage.
        let key = Key::from(format!("check-{}", self.owner));
        self.put(&key, Bytes::from_static(b"ok")).await?;
        self.get(&key).await?;
        self.store.delete(&key).await.map_err(StorageError)
    }

    async fn put(&self, key: &Key, bytes: Bytes) -> Result<(), StorageError> {
        let stored = self.store.put(key, PutPayload::from(bytes)).await;
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

/// The place of a result. Two hex digits make 256 directories.
fn result_key(object: &ResultObject) -> Key {
    let name = object.as_str();
    let folder: String = name.chars().take(2).collect();
    Key::from(format!("{RESULTS}/{folder}/{name}.json"))
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
