//! Which results are stored, and who needs them.

use super::{EngineError, JobEngine};
use crate::job::Job;
use async_trait::async_trait;
use sha2::{Digest, Sha256};
use spinelift_mesh::{ALGORITHM_VERSION, MeshParameters};
use std::fmt::{self, Write};

/// The index of stored results. The results themselves are objects elsewhere: each is written
/// before it is recorded here, and removed only after nothing here refers to it.
#[async_trait]
pub trait ResultIndex {
    /// The result that was made earlier for the same input.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn cached(&self, key: &ResultKey) -> Result<Option<ResultObject>, EngineError>;

    /// Makes the cache as small as this, oldest use first. Results that no job refers to either
    /// are given back: their objects can be removed.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn shrink_cache(&self, bytes: u64) -> Result<Vec<ResultObject>, EngineError>;

    /// Forgets a cached result whose object turned out to be missing or damaged.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn forget(&self, object: &ResultObject) -> Result<(), EngineError>;

    /// Those of these objects that nothing refers to.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn unused(&self, objects: Vec<ResultObject>) -> Result<Vec<ResultObject>, EngineError>;
}

/// What a result follows from: the image's bytes, the parameters without the deadline, and the
/// algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResultKey(String);

impl ResultKey {
    /// The key of what these make; `image` is the SHA-256 of the image's bytes.
    #[must_use]
    pub fn new(image: &[u8; 32], parameters: &MeshParameters) -> Self {
        let mut hash = Sha256::new();
        hash.update(image);
        hash.update(ALGORITHM_VERSION);
        // Its fields always serialize, in the same order.
        hash.update(serde_json::to_vec(&parameters.without_deadline()).unwrap_or_default());
        Self::of(hash)
    }

    /// The key of a result that is not for others, since time was up before it was as good as it
    /// gets: nothing but another attempt at this job would make it.
    #[must_use]
    pub fn for_one(&self, job: &Job) -> Self {
        let mut hash = Sha256::new();
        hash.update(&self.0);
        hash.update(job.id.as_str());
        hash.update(job.generation.to_be_bytes());
        Self::of(hash)
    }

    fn of(hash: Sha256) -> Self {
        let mut text = String::with_capacity(64);
        for byte in hash.finalize() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a stored result. Each has one of its own, though its key begins it: to remove one
/// can never remove what another job has just stored for the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResultObject(String);

impl ResultObject {
    /// A new name, which tells whose object it is.
    #[must_use]
    pub fn new(key: &ResultKey, owner: &Owner) -> Self {
        Self(format!("{}-{owner}-{:016x}", key.0, fastrand::u64(..)))
    }

    /// Whether the name was made for this key.
    #[must_use]
    pub fn has_key(&self, key: &ResultKey) -> bool {
        self.0.split('-').next() == Some(key.as_str())
    }

    /// Whether the name was made for this owner.
    #[must_use]
    pub fn is_of(&self, owner: &Owner) -> bool {
        let mut parts = self.0.split('-');
        parts.nth(1) == Some(owner.0.as_str()) && parts.next().is_some()
    }

    /// A name that was made before: hexadecimal digits and `-`, four at least.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
        (text.len() >= 4 && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResultObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose objects they are: services with other jobs may use the same storage, and none must remove
/// what it only does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner(String);

impl Owner {
    /// The owner of what the jobs of an engine make; the same after each start.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    pub async fn of(engine: &dyn JobEngine) -> Result<Self, EngineError> {
        let [a, b, c, d, ..] = engine.secret("owner").await?;
        Ok(Self(format!("{:08x}", u32::from_be_bytes([a, b, c, d]))))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A result that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredResult {
    /// It was made by this job.
    New {
        /// What it follows from.
        key: ResultKey,
        /// Its name.
        object: ResultObject,
        /// Its size.
        bytes: u64,
    },
    /// It had been made before.
    Cached(ResultObject),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_depends_on_image_and_parameters() {
        let parameters = MeshParameters::default();
        let key = ResultKey::new(&[0; 32], &parameters);
        assert_eq!(key, ResultKey::new(&[0; 32], &parameters));
        assert_ne!(key, ResultKey::new(&[1; 32], &parameters));
        let other = MeshParameters {
            alpha_threshold: parameters.alpha_threshold + 1,
            ..parameters
        };
        assert_ne!(key, ResultKey::new(&[0; 32], &other));
    }

    /// Of keys that were made before there were options, so that what they lead to is still found.
    #[test]
    fn keys_of_the_nine_parameters_are_as_they_always_were() {
        let key = |parameters| ResultKey::new(&[7; 32], &parameters);
        let defaults = key(MeshParameters::DEFAULT);
        assert_eq!(
            defaults.as_str(),
            "501306d7232e667af65e6bc0938bf1c04e9518faa25dd152eca706156ba588da"
        );
        let mut cover = MeshParameters::COVER;
        let covers = key(cover);
        cover.outline.max_vertices = Some(8);
        let fewer = key(cover);
        cover.interior.vertices = Some(60);
        let filled = key(cover);
        let all = [&defaults, &covers, &fewer, &filled];
        assert!((1..4).all(|at| !all[..at].contains(&all[at])), "{all:?}");
        cover.deadline_ms = Some(5);
        assert_eq!(key(cover), filled, "a mesh that was in time is the same");
    }

    #[test]
    fn names_are_unique_and_lead_nowhere() {
        let key = ResultKey::new(&[0; 32], &MeshParameters::default());
        let [own, other] = ["00c0ffee", "0badf00d"].map(|owner| Owner(owner.to_owned()));
        let names = [ResultObject::new(&key, &own), ResultObject::new(&key, &own)];
        assert_ne!(names[0], names[1]);
        assert!(names[0].is_of(&own) && !names[0].is_of(&other));
        for name in names {
            assert_eq!(ResultObject::parse(name.as_str()), Some(name));
        }
        for bad in ["", "abc", "ab/cd", "../ab", "ab.json"] {
            assert_eq!(ResultObject::parse(bad), None, "{bad}");
        }
    }
}
