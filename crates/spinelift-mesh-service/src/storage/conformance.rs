//! What every backend of the storage does.

use super::tests::engine;
use super::*;
use crate::address::{AddressPolicy, Outbound, OutboundLimits};
use crate::redacted::Secret;
use crate::s3::S3;
use crate::settings::Settings;
use chrono::TimeDelta;
use s3_server::S3Server;
use spinelift_mesh::MeshParameters;
use std::time::Duration;
use tempfile::TempDir;

#[allow(dead_code, reason = "the service's tests use more of it")]
#[path = "../../tests/it/harness/s3/mod.rs"]
mod s3_server;

/// A place to store things in.
enum Backend {
    Directory(TempDir),
    Bucket(Box<S3Server>),
}

impl Backend {
    async fn all() -> [Self; 2] {
        let directory = tempfile::tempdir().expect("temporary directory");
        [
            Self::Directory(directory),
            Self::Bucket(Box::new(S3Server::start().await)),
        ]
    }

    /// The storage of a service; others may have theirs at the same place.
    async fn open(&self, owner: Owner) -> Storage {
        match self {
            Self::Directory(directory) => Storage::local(directory.path(), owner).expect("opens"),
            Self::Bucket(server) => open_bucket(server, &server.bucket, owner)
                .await
                .expect("opens"),
        }
    }
}

async fn open_bucket(
    server: &S3Server,
    bucket: &str,
    owner: Owner,
) -> Result<Storage, OpenStorageError> {
    let settings = settings(server);
    let s3 = s3(&settings);
    Storage::s3(&s3, bucket, &settings.s3_prefix, owner).await
}

fn s3(settings: &Settings) -> S3 {
    let limits = OutboundLimits {
        dns_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(5),
        ..OutboundLimits::default()
    };
    let outbound = Outbound::new(AddressPolicy::new(Vec::new()), &limits).expect("clients");
    S3::new(settings, &outbound).expect("right settings")
}

fn settings(server: &S3Server) -> Settings {
    Settings {
        s3_endpoint: Some(server.endpoint.clone()),
        s3_region: Some(server.region.clone()),
        s3_prefix: server.prefix.clone(),
        aws_access_key_id: Some(Secret::new(&server.key_id)),
        aws_secret_access_key: Some(Secret::new(&server.secret)),
        ..Settings::default()
    }
}

async fn owner() -> Owner {
    let (_, owner, _jobs) = engine().await;
    owner
}

fn name(storage: &Storage, image: u8) -> ResultObject {
    let key = ResultKey::new(&[image; 32], &MeshParameters::default());
    ResultObject::new(&key, &storage.owner)
}

async fn own_results(storage: &Storage, before: DateTime<Utc>) -> Vec<ResultObject> {
    let mut found: Vec<_> = storage.results_before(before).concat().await;
    found.sort();
    found
}

async fn old_uploads(storage: &Storage, before: DateTime<Utc>) -> Vec<String> {
    storage.uploads_before(before).collect().await
}

/// Later than anything that is stored, by the clock of whatever server.
fn later() -> DateTime<Utc> {
    Utc::now() + TimeDelta::days(1)
}

#[tokio::test]
async fn what_is_stored_is_there_until_it_is_removed() {
    for backend in Backend::all().await {
        let storage = backend.open(owner().await).await;
        let objects = [1, 1, 2].map(|image| name(&storage, image));
        let missing = storage.get_result(&objects[0]).await;
        assert!(missing.expect_err("not yet stored").is_missing());
        assert!(!storage.has_result(&objects[0]).await.expect("known"));
        for (number, object) in objects.iter().enumerate() {
            let mesh = Bytes::from(format!("{{\"number\":{number}}}"));
            storage.put_result(object, mesh).await.expect("stored");
        }
        for (number, object) in objects.iter().enumerate() {
            let mesh = storage.get_result(object).await.expect("stored");
            assert_eq!(mesh, format!("{{\"number\":{number}}}"));
            assert!(storage.has_result(object).await.expect("known"));
        }
        storage.remove_results(&objects[..2]).await;
        // Again, which does no harm.
        storage.remove_results(&objects[..1]).await;
        assert!(!storage.has_result(&objects[0]).await.expect("known"));
        assert!(!storage.has_result(&objects[1]).await.expect("known"));
        assert!(storage.has_result(&objects[2]).await.expect("known"));
        storage.remove_results(&objects).await;
    }
}

#[tokio::test]
async fn an_uploaded_image_has_a_size_and_is_overwritten_by_itself() {
    for backend in Backend::all().await {
        let storage = backend.open(owner().await).await;
        // Case, dots and slashes of ids lead nowhere.
        for id in ["a", "A", "a..b"] {
            let id = JobId::parse(id).expect("an id");
            let gone = storage.upload_size(&id, "d").await;
            assert!(gone.expect_err("none").is_missing());
            let image = Bytes::from(id.to_string().repeat(1000));
            for _ in 0..2 {
                let stored = storage.put_upload(&id, "d", image.clone()).await;
                stored.expect("stored");
            }
            let size = storage.upload_size(&id, "d").await.expect("stored");
            assert_eq!(size, image.len() as u64);
            assert_eq!(storage.get_upload(&id, "d").await.expect("stored"), image);
            storage.remove_upload(&id, "d").await;
            assert!(storage.get_upload(&id, "d").await.is_err());
        }
    }
}

#[tokio::test]
async fn nobody_sees_or_removes_what_is_others() {
    for backend in Backend::all().await {
        let (own, other) = (owner().await, owner().await);
        let (own, other) = (backend.open(own).await, backend.open(other).await);
        let id = JobId::parse("job").expect("an id");
        let mut objects = Vec::new();
        for storage in [&own, &other] {
            let object = name(storage, 1);
            let mesh = Bytes::from_static(b"{}");
            storage
                .put_result(&object, mesh.clone())
                .await
                .expect("stored");
            storage.put_upload(&id, "d", mesh).await.expect("stored");
            objects.push(object);
        }
        assert_eq!(own_results(&own, later()).await, [objects[0].clone()]);
        assert_eq!(own_results(&other, later()).await, [objects[1].clone()]);
        assert_eq!(own_results(&own, Utc::now() - TimeDelta::days(1)).await, []);
        for name in old_uploads(&own, later()).await {
            own.remove_upload_before(&name, later()).await;
        }
        own.remove_results(&objects[..1]).await;
        assert!(own.get_upload(&id, "d").await.is_err());
        assert!(other.get_upload(&id, "d").await.is_ok());
        assert!(other.has_result(&objects[1]).await.expect("known"));
    }
}

#[tokio::test]
async fn nodes_with_the_same_jobs_share_what_they_store() {
    for backend in Backend::all().await {
        let owner = owner().await;
        let (one, two) = (backend.open(owner.clone()).await, backend.open(owner).await);
        let object = name(&one, 1);
        let mesh = Bytes::from_static(b"{}");
        one.put_result(&object, mesh.clone()).await.expect("stored");
        assert_eq!(two.get_result(&object).await.expect("stored"), mesh);
        assert_eq!(
            own_results(&two, later()).await,
            std::slice::from_ref(&object)
        );
        two.remove_results(std::slice::from_ref(&object)).await;
        assert!(!one.has_result(&object).await.expect("known"));
    }
}

#[tokio::test]
async fn images_that_are_left_are_found_with_their_sizes() {
    for backend in Backend::all().await {
        let storage = backend.open(owner().await).await;
        assert_eq!(storage.uploads_size().await.expect("known"), 0);
        let ids = ["one", "two"].map(|id| JobId::parse(id).expect("an id"));
        for id in &ids {
            let stored = storage.put_upload(id, "d", Bytes::from_static(b"image"));
            stored.await.expect("stored");
        }
        assert_eq!(storage.uploads_size().await.expect("known"), 10);
        let mut names = ids.each_ref().map(|id| storage.upload_name(id, "d"));
        names.sort();
        let mut found = old_uploads(&storage, later()).await;
        found.sort();
        assert_eq!(found, names);
        let earlier = Utc::now() - TimeDelta::days(1);
        assert_eq!(old_uploads(&storage, earlier).await, [""; 0]);
        storage.remove_upload_before(&names[0], earlier).await;
        assert_eq!(storage.uploads_size().await.expect("known"), 10);
        storage.remove_upload_before(&names[0], later()).await;
        assert_eq!(old_uploads(&storage, later()).await, names[1..]);
    }
}

#[tokio::test]
async fn a_draft_is_no_leftover() {
    for backend in Backend::all().await {
        let storage = backend.open(owner().await).await;
        let key = ResultKey::new(&[1; 32], &MeshParameters::default());
        let mut draft = storage.draft(&key);
        let written = draft.write(Bytes::from_static(b"{}")).await;
        written.expect("stored");
        let object = draft.object().clone();
        assert_eq!(own_results(&storage, later()).await, []);
        drop(draft);
        assert_eq!(own_results(&storage, later()).await, [object]);
    }
}

#[tokio::test]
async fn checks_of_many_nodes_do_not_disturb_each_other() {
    let server = S3Server::start().await;
    let owner = owner().await;
    let mut nodes = Vec::new();
    for _ in 0..8 {
        let opened = open_bucket(&server, &server.bucket, owner.clone()).await;
        nodes.push(opened.expect("opens"));
    }
    for _ in 0..5 {
        let checks = nodes.iter().map(Storage::check);
        for checked in futures_util::future::join_all(checks).await {
            checked.expect("written, read and removed");
        }
    }
    assert_eq!(server.keys().await, [""; 0], "nothing is left behind");
}

#[tokio::test]
async fn leftovers_in_a_bucket_are_looked_for_once_a_day_by_one_node_for_its_own() {
    let server = S3Server::start().await;
    let (own, other) = (owner().await, owner().await);
    let open = async |owner: &Owner| {
        let opened = open_bucket(&server, &server.bucket, owner.clone()).await;
        opened.expect("opens")
    };
    let (one, two) = (open(&own).await, open(&own).await);
    let time = one.begin_sweep().await.expect("works").expect("it is due");
    assert!((Utc::now() - time).abs() < TimeDelta::minutes(15), "{time}");
    for node in [&one, &two] {
        assert_eq!(node.begin_sweep().await.expect("works"), None);
    }
    let others = open(&other).await.begin_sweep().await.expect("works");
    assert!(others.is_some());
}

#[tokio::test]
async fn a_bucket_that_cannot_be_used_is_refused_with_the_setting_that_is_wrong() {
    let server = S3Server::start().await;
    let wrong_bucket = open_bucket(&server, "no-such-bucket-as-this", owner().await).await;
    let wrong_key = {
        let mut settings = settings(&server);
        settings.aws_secret_access_key = Some(Secret::new("wrong-secret"));
        Storage::s3(&s3(&settings), &server.bucket, "", owner().await).await
    };
    let unknown_key = {
        let mut settings = settings(&server);
        settings.aws_access_key_id = Some(Secret::new("unknown-key"));
        Storage::s3(&s3(&settings), &server.bucket, "", owner().await).await
    };
    let unreachable = {
        let mut settings = settings(&server);
        settings.s3_endpoint = Some("http://127.0.0.1:9".to_owned());
        Storage::s3(&s3(&settings), &server.bucket, "", owner().await).await
    };
    for (opened, words) in [
        (wrong_bucket, ["S3_BUCKET", "no-such-bucket-as-this"]),
        (wrong_key, ["AWS_SECRET_ACCESS_KEY", &server.bucket]),
        (unknown_key, ["AWS_ACCESS_KEY_ID", &server.bucket]),
        (unreachable, ["S3_ENDPOINT", "127.0.0.1:9"]),
    ] {
        let Err(error) = opened else {
            panic!("it opens: {words:?}")
        };
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "{word} in {text}");
        }
        assert!(!text.contains("wrong-secret"), "{text}");
    }
}

/// What Amazon's answers when a bucket is gone: to HEAD without a body. The server of the tests says
/// that the object is.
async fn without_bucket() -> String {
    let answer = async || {
        let body = "<Error><Code>NoSuchBucket</Code><Message>It does not exist</Message></Error>";
        (axum::http::StatusCode::NOT_FOUND, body)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    endpoint
}

#[tokio::test]
async fn a_bucket_that_is_gone_does_not_mean_that_its_objects_were_removed() {
    let server = S3Server::start().await;
    let opened = open_bucket(&server, &server.bucket, owner().await).await;
    let mut storage = opened.expect("opens");
    let object = name(&storage, 1);
    let mut settings = settings(&server);
    settings.s3_endpoint = Some(without_bucket().await);
    storage.store = Arc::new(s3(&settings).store(&server.bucket).expect("made"));
    let read = storage.get_result(&object).await.expect_err("no bucket");
    assert!(!read.is_missing(), "{read}");
    let asked = storage.has_result(&object).await.expect_err("no bucket");
    assert!(!asked.is_missing(), "{asked}");
}
