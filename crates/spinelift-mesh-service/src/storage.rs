//! Where results are kept.

use crate::job::JobId;
use axum::body::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The results, one for each job. A second run of a job overwrites the first with the same bytes.
#[derive(Clone)]
pub(crate) struct ResultStore(Arc<dyn ObjectStore>);

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

/// A result could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct StorageError(object_store::Error);

impl StorageError {
    /// Whether there is no such result, rather than no access to it.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.0, object_store::Error::NotFound { .. })
    }
}

impl ResultStore {
    /// Results as files below a directory, which is made if it does not exist.
    pub(crate) fn local(directory: &Path) -> Result<Self, OpenStorageError> {
        let io = |source| OpenStorageError::Directory {
            path: directory.to_owned(),
            source,
        };
        std::fs::create_dir_all(directory).map_err(io)?;
        probe(directory).map_err(io)?;
        let store = LocalFileSystem::new_with_prefix(directory)
            .map_err(|source| OpenStorageError::Store {
                path: directory.to_owned(),
                source,
            })?
            // Each file is written aside, synced, renamed and its directory synced: a job is
            // marked completed only after `put`, so its result must outlive a power cut.
            .with_fsync(true);
        Ok(Self(Arc::new(store)))
    }

    /// Stores the result of a job; it is safe on disk afterwards.
    pub(crate) async fn put(&self, id: &JobId, result: Bytes) -> Result<(), StorageError> {
        let stored = self.0.put(&key(id), PutPayload::from(result)).await;
        stored.map(|_| ()).map_err(StorageError)
    }

    /// The result of a job.
    pub(crate) async fn get(&self, id: &JobId) -> Result<Bytes, StorageError> {
        let found = self.0.get(&key(id)).await.map_err(StorageError)?;
        found.bytes().await.map_err(StorageError)
    }
}

/// Removes what writes that a crash cut off have left beside the results: files that were staged
/// before `start` and never renamed. Best effort; a folder of very many results takes a while.
pub(crate) fn remove_leftovers(directory: &Path, start: SystemTime) {
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    for folder in entries(&directory.join("results")) {
        for file in entries(&folder.path()) {
            // The store stages `NAME` as `NAME#1` or the like.
            let is_staged = file.file_name().as_encoded_bytes().contains(&b'#');
            let modified = || file.metadata().and_then(|metadata| metadata.modified());
            if is_staged && modified().is_ok_and(|modified| modified < start) {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }
}

/// Finds out at start, rather than with the first result, that a directory is read-only.
fn probe(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!(".probe-{}", std::process::id()));
    std::fs::write(&path, b"")?;
    std::fs::remove_file(&path)
}

/// The place of a job's result. A hash, because ids come from clients: no `..`, no device names,
/// no two ids that are one on a file system without case. Two hex digits make 256 directories.
fn key(id: &JobId) -> Key {
    let mut name = String::with_capacity(64);
    for byte in Sha256::digest(id.as_str()) {
        let _ = write!(name, "{byte:02x}");
    }
    Key::from(format!("results/{}/{name}.json", &name[..2]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn no_id_leads_out_of_the_directory() {
        for id in ["a..b", "...", "~", "con", "A", "a"] {
            let key = key(&JobId::parse(id).expect(id)).to_string();
            let hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
            let parts: Vec<_> = key.split('/').collect();
            assert!(
                parts.len() == 3 && parts[0] == "results" && hex(parts[1]),
                "{key}"
            );
            assert!(parts[2].strip_suffix(".json").is_some_and(hex), "{key}");
        }
        let keys = ["A", "a"].map(|id| key(&JobId::parse(id).expect(id)));
        assert_ne!(keys[0], keys[1]);
    }

    #[test]
    fn leftovers_of_a_crash_are_removed_and_nothing_else() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let folder = directory.path().join("results/ab");
        std::fs::create_dir_all(&folder).expect("made");
        for name in ["ab.json", "ab.json#1"] {
            std::fs::write(folder.join(name), b"{}").expect("written");
        }
        let written = folder
            .join("ab.json#1")
            .metadata()
            .and_then(|file| file.modified());
        let written = written.expect("known");
        remove_leftovers(directory.path(), written);
        assert!(folder.join("ab.json#1").exists(), "it may be in use");
        remove_leftovers(directory.path(), written + Duration::from_secs(1));
        assert!(!folder.join("ab.json#1").exists());
        assert!(folder.join("ab.json").exists());
    }

    #[tokio::test]
    async fn a_result_is_read_back_and_can_be_written_again() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let store = ResultStore::local(&directory.path().join("new/sub")).expect("opens");
        let id = JobId::parse("job").expect("valid");
        assert!(store.get(&id).await.expect_err("none yet").is_missing());
        for _ in 0..2 {
            store
                .put(&id, Bytes::from_static(b"{}"))
                .await
                .expect("stored");
        }
        assert_eq!(
            store.get(&id).await.expect("there"),
            Bytes::from_static(b"{}")
        );
    }
}
