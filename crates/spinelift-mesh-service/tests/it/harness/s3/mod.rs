//! An S3 server on a port of its own, with real signatures; or the one that variables name, such as
//! MinIO, Garage or Amazon's: `SPINELIFT_TEST_S3_ENDPOINT`, `SPINELIFT_TEST_S3_BUCKET`,
//! `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, and `AWS_REGION` if it is not us-east-1.
//!
//! The unit tests of `storage` and the tests of the command include this module as well.
#![allow(clippy::unwrap_used)]

pub(crate) mod line;

use bytes::Bytes;
use futures_util::TryStreamExt;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use line::Outage;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// A server with a bucket, of which a test has a part of its own.
pub(crate) struct S3Server {
    pub(crate) endpoint: String,
    pub(crate) bucket: String,
    /// What is the test's own in the bucket; with `/` at the end.
    pub(crate) prefix: String,
    pub(crate) key_id: String,
    pub(crate) secret: String,
    pub(crate) region: String,
    /// Of a server in this process.
    _root: Option<TempDir>,
}

impl S3Server {
    pub(crate) async fn start() -> Self {
        // An error means that it is installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The server in this process makes names of files of keys, and those have a limit.
        let prefix = format!("t-{:08x}/", fastrand::u32(..));
        let variable = |name| std::env::var(name).ok();
        if let Some(endpoint) = variable("SPINELIFT_TEST_S3_ENDPOINT") {
            let needed = |name| variable(name).unwrap_or_else(|| panic!("{name} is not set"));
            return Self {
                endpoint: endpoint.trim_end_matches('/').to_owned(),
                bucket: needed("SPINELIFT_TEST_S3_BUCKET"),
                prefix,
                key_id: needed("AWS_ACCESS_KEY_ID"),
                secret: needed("AWS_SECRET_ACCESS_KEY"),
                region: variable("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned()),
                _root: None,
            };
        }
        let (key_id, secret) = ("test-key", "test-secret");
        let root = TempDir::new().unwrap();
        std::fs::create_dir(root.path().join("results")).unwrap();
        let files = s3s_fs::FileSystem::new(root.path()).unwrap();
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(key_id, secret));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let service = service.clone();
                // An error is the client's leaving.
                tokio::spawn(async move {
                    let io = TokioIo::new(socket);
                    http1::Builder::new().serve_connection(io, service).await
                });
            }
        });
        Self {
            endpoint,
            bucket: "results".to_owned(),
            prefix,
            key_id: key_id.to_owned(),
            secret: secret.to_owned(),
            region: "us-east-1".to_owned(),
            _root: Some(root),
        }
    }

    /// The bucket for the test itself.
    pub(crate) fn store(&self) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_access_key_id(&self.key_id)
            .with_secret_access_key(&self.secret)
            .build()
            .unwrap()
    }

    /// Stores an object below the test's prefix.
    pub(crate) async fn put(&self, name: &str, bytes: impl Into<Bytes>) {
        let key = Key::parse(format!("{}{name}", self.prefix)).unwrap();
        self.store().put(&key, bytes.into().into()).await.unwrap();
    }

    /// The keys below the test's prefix, without it.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let prefix = Key::parse(&self.prefix).unwrap();
        let store = self.store();
        let found = store.list(Some(&prefix)).map_ok(|found| found.location);
        let found: Vec<_> = found.try_collect().await.unwrap();
        let mut keys: Vec<_> = found
            .iter()
            .map(|key| key.as_ref().strip_prefix(&self.prefix).unwrap().to_owned())
            .collect();
        keys.sort();
        keys
    }

    /// The way to this server through one that can fail.
    pub(crate) async fn through(&self) -> Outage {
        let server = self.endpoint.strip_prefix("http://");
        let server = server.expect("outages are only played for a server that speaks plain HTTP");
        Outage::start(server.to_owned()).await
    }
}
