//! Buckets of an S3 server: how they are reached, with which credentials, and how long that may
//! take.

use crate::address::{Outbound, OutboundError};
use crate::redacted::Secret;
use crate::settings::Settings;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use reqwest::Client;
use std::net::IpAddr;
use std::time::Duration;
use url::{Host, Url};

/// Tries after the first at what a store does. Who waits for the store goes on trying for ever, or
/// is told to come back.
const RETRIES: usize = 3;

/// Where AWS tells a process in a cluster, a container or an instance what its credentials are.
const PLATFORM: [&str; 9] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_METADATA_ENDPOINT",
    "AWS_IMDSV1_FALLBACK",
];

/// Why an S3 server cannot be used with these settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum S3Error {
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Client(#[from] OutboundError),
    /// The settings do not fit together.
    #[error(
        "S3 cannot be used with these settings (S3_ENDPOINT, S3_REGION, AWS_ACCESS_KEY_ID, \
         AWS_SECRET_ACCESS_KEY): {0}"
    )]
    Settings(object_store::Error),
}

/// An S3 server.
pub(crate) struct S3 {
    endpoint: Option<String>,
    public_endpoint: Option<String>,
    region: String,
    path_style: bool,
    credentials: AwsCredentialProvider,
    timeout: Duration,
    /// Bounded in time.
    client: Client,
    /// For images, whose loading has bounds of its own.
    patient: Client,
}

impl S3 {
    /// The server that the settings name. Nothing is connected to yet.
    pub(crate) fn new(settings: &Settings, outbound: &Outbound) -> Result<Self, S3Error> {
        let connect = settings.s3_connect_timeout;
        let client = outbound.for_operator(connect, Some(settings.s3_timeout))?;
        warn_of_plain_http(settings.s3_endpoint.as_deref());
        let regions = [
            &settings.s3_region,
            &settings.aws_region,
            &settings.aws_default_region,
        ];
        let region = regions.into_iter().flatten().next();
        let region = region.map_or("us-east-1", String::as_str).to_owned();
        let credentials = credentials(settings, &region, &client)?;
        Ok(Self {
            endpoint: settings.s3_endpoint.clone(),
            public_endpoint: settings.s3_public_endpoint.clone(),
            region,
            path_style: settings
                .s3_path_style
                .unwrap_or(settings.s3_endpoint.is_some()),
            credentials,
            timeout: settings.s3_timeout,
            client,
            patient: outbound.for_operator(connect, None)?,
        })
    }

    /// A bucket to keep objects in. What fails is tried again a few times.
    pub(crate) fn store(&self, bucket: &str) -> Result<AmazonS3, S3Error> {
        let retry = retry(RETRIES, self.timeout);
        self.bucket(bucket, self.endpoint.as_deref(), &self.client, retry)
    }

    /// A bucket to make presigned URLs for: as clients reach it.
    pub(crate) fn public(&self, bucket: &str) -> Result<AmazonS3, S3Error> {
        let endpoint = self.public_endpoint.as_ref().or(self.endpoint.as_ref());
        let retry = retry(0, self.timeout);
        self.bucket(bucket, endpoint.map(String::as_str), &self.client, retry)
    }

    /// A bucket to load images from. Every failure is told: their loader tries again by itself.
    pub(crate) fn images(&self, bucket: &str) -> Result<AmazonS3, S3Error> {
        let retry = retry(0, self.timeout);
        self.bucket(bucket, self.endpoint.as_deref(), &self.patient, retry)
    }

    fn bucket(
        &self,
        bucket: &str,
        endpoint: Option<&str>,
        client: &Client,
        retry: RetryConfig,
    ) -> Result<AmazonS3, S3Error> {
        let builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&self.region)
            .with_virtual_hosted_style_request(!self.path_style)
            .with_credentials(self.credentials.clone())
            .with_retry(retry)
            .with_http_connector(Connector(client.clone()));
        let builder = match endpoint {
            Some(endpoint) => builder
                .with_allow_http(true)
                .with_endpoint(self.with_bucket(endpoint, bucket)),
            None => builder,
        };
        builder.build().map_err(S3Error::Settings)
    }

    /// The endpoint, with the bucket in its host where it belongs there.
    fn with_bucket(&self, endpoint: &str, bucket: &str) -> String {
        match (self.path_style, endpoint.split_once("://")) {
            (false, Some((scheme, rest))) => format!("{scheme}://{bucket}.{rest}"),
            _ => endpoint.to_owned(),
        }
    }
}

/// The credentials that the settings have, or those that the platform gives; all buckets share
/// them, so that they are asked for once.
fn credentials(
    settings: &Settings,
    region: &str,
    client: &Client,
) -> Result<AwsCredentialProvider, S3Error> {
    let mut builder = AmazonS3Builder::new()
        // Any: only the credentials are taken from it.
        .with_bucket_name("credentials")
        .with_region(region)
        .with_retry(retry(1, settings.s3_timeout))
        .with_http_connector(Connector(client.clone()));
    for name in PLATFORM {
        let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>();
        if let (Ok(key), Ok(value)) = (key, std::env::var(name)) {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(key) = &settings.aws_access_key_id {
        builder = builder.with_access_key_id(key.reveal());
    }
    if let Some(secret) = &settings.aws_secret_access_key {
        builder = builder.with_secret_access_key(secret.reveal());
    }
    if let Some(token) = settings.aws_session_token.as_ref().map(Secret::reveal) {
        builder = builder.with_token(token);
    }
    let store = builder.build().map_err(S3Error::Settings)?;
    Ok(store.credentials().clone())
}

fn retry(retries: usize, timeout: Duration) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: retries,
        retry_timeout: timeout,
    }
}

/// Signatures keep the secret, but not what is stored and read.
fn warn_of_plain_http(endpoint: Option<&str>) {
    let Some(url) = endpoint.and_then(|text| Url::parse(text).ok()) else {
        return;
    };
    let is_near = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_private(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback() || ip.is_unique_local(),
        // `minio`, as containers are named.
        Some(Host::Domain(name)) => !name.contains('.'),
        None => false,
    };
    if url.scheme() == "http" && !is_near {
        tracing::warn!(
            host = url.host_str(),
            "images and results go over the network in the clear: use https in S3_ENDPOINT"
        );
    }
}

/// Hands the service's own client to the store.
#[derive(Debug)]
struct Connector(Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::{AddressPolicy, OutboundLimits};
    use axum::http::Method;
    use object_store::path::Path as Key;
    use object_store::signer::Signer;

    fn settings() -> Settings {
        Settings {
            aws_access_key_id: Some(Secret::new("key")),
            aws_secret_access_key: Some(Secret::new("hush")),
            ..Settings::default()
        }
    }

    fn s3(settings: &Settings) -> Result<S3, S3Error> {
        let limits = OutboundLimits {
            dns_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            ..OutboundLimits::default()
        };
        let outbound = Outbound::new(AddressPolicy::new(Vec::new()), &limits).expect("clients");
        S3::new(settings, &outbound)
    }

    async fn signed(settings: &Settings) -> String {
        let bucket = s3(settings)
            .expect("right")
            .public("sprites")
            .expect("right");
        let hour = Duration::from_secs(3600);
        let key = Key::from("a b/c.json");
        let signed = bucket.signed_url(Method::GET, &key, hour).await;
        signed.expect("signed").to_string()
    }

    #[tokio::test]
    async fn a_bucket_stands_in_the_host_or_in_the_path() {
        let endpoint = Some("https://s3.example:9000".to_owned());
        for (endpoint, path_style, url) in [
            (
                None,
                None,
                "https://sprites.s3.us-east-1.amazonaws.com/a%20b/c.json?",
            ),
            (
                None,
                Some(true),
                "https://s3.us-east-1.amazonaws.com/sprites/a%20b/c.json?",
            ),
            (
                endpoint.clone(),
                None,
                "https://s3.example:9000/sprites/a%20b/c.json?",
            ),
            (
                endpoint,
                Some(false),
                "https://sprites.s3.example:9000/a%20b/c.json?",
            ),
        ] {
            let settings = Settings {
                s3_endpoint: endpoint,
                s3_path_style: path_style,
                ..settings()
            };
            let signed = signed(&settings).await;
            assert!(signed.starts_with(url), "{signed}");
            assert!(!signed.contains("hush"), "{signed}");
        }
    }

    #[tokio::test]
    async fn the_region_and_the_session_are_those_of_the_settings() {
        let text = |text: &str| Some(text.to_owned());
        let mut settings = settings();
        settings.aws_default_region = text("eu-north-1");
        assert!(signed(&settings).await.contains("eu-north-1"));
        settings.aws_region = text("eu-west-1");
        assert!(signed(&settings).await.contains("eu-west-1"));
        settings.s3_region = text("eu-central-1");
        let url = signed(&settings).await;
        assert!(
            url.contains("eu-central-1") && !url.contains("Security-Token"),
            "{url}"
        );
        settings.aws_session_token = Some(Secret::new("session"));
        assert!(
            signed(&settings)
                .await
                .contains("X-Amz-Security-Token=session")
        );
    }

    #[test]
    fn half_of_a_key_is_refused_without_showing_it() {
        for half in [true, false] {
            let mut settings = settings();
            match half {
                true => settings.aws_access_key_id = None,
                false => settings.aws_secret_access_key = None,
            }
            let Err(error) = s3(&settings) else {
                panic!("half of it is missing")
            };
            let text = error.to_string();
            assert!(
                text.contains("AWS_ACCESS_KEY_ID") && !text.contains("hush"),
                "{text}"
            );
        }
    }
}
