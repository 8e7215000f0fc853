//! Storage in a directory.

use super::*;
use crate::engine::sqlite::{Bounds, SqliteEngine};
use spinelift_mesh::MeshParameters;
use std::time::Duration;
use tempfile::TempDir;

pub(super) async fn engine() -> (SqliteEngine, Owner, TempDir) {
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
