//! Where each object is.

use super::{Home, Storage};
use crate::engine::ResultObject;
use crate::job::JobId;
use object_store::path::Path as Key;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Where results and uploads are.
pub(super) const RESULTS: &str = "results";
pub(super) const UPLOADS: &str = "uploads";

impl Storage {
    /// The name under which the image of a job is kept.
    pub(crate) fn upload_name(&self, id: &JobId, digest: &str) -> String {
        self.upload_key(id, digest).to_string()
    }

    /// The place of an upload. A hash, because ids come from clients: no `..`, no device names, no
    /// two ids that are one on a file system without case.
    pub(super) fn upload_key(&self, id: &JobId, digest: &str) -> Key {
        let mut name = String::with_capacity(64);
        for byte in Sha256::digest(id.as_str()) {
            let _ = write!(name, "{byte:02x}");
        }
        self.key(&format!("{UPLOADS}/{}/{name}-{digest}", self.owner))
    }

    /// The place of a result.
    pub(super) fn result_key(&self, object: &ResultObject) -> Key {
        let name = object.as_str();
        match &self.home {
            // Two hex digits make 256 directories.
            Home::Folder(_) => {
                let folder: String = name.chars().take(2).collect();
                Key::from(format!("{RESULTS}/{folder}/{name}.json"))
            }
            // What is one's own can be listed without what is others'.
            Home::Bucket(_) => self.key(&format!("{RESULTS}/{}/{name}.json", self.owner)),
        }
    }

    /// Where all own results are, and in a directory those of others.
    pub(super) fn own_results(&self) -> Key {
        match &self.home {
            Home::Folder(_) => Key::from(RESULTS),
            Home::Bucket(_) => self.key(&format!("{RESULTS}/{}", self.owner)),
        }
    }

    /// Where all own images that came with jobs are.
    pub(super) fn own_uploads(&self) -> Key {
        self.key(&format!("{UPLOADS}/{}", self.owner))
    }

    pub(super) fn key(&self, name: &str) -> Key {
        match &self.home {
            Home::Folder(_) => Key::from(name),
            Home::Bucket(bucket) => bucket.key(name),
        }
    }
}
