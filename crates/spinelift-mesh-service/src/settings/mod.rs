//! The settings: every one of them, with its default and meaning, in one table.

mod kinds;
mod misspelt;
mod source;

pub use kinds::{JobBackend, LogFormat, ResultUrlKind, Role, StorageBackend};
pub use misspelt::warn_of_misspelt;
pub use source::{SettingsError, WrongSetting};

use crate::address::{AllowedBucket, AllowedHost};
use crate::auth::ApiKeys;
use crate::callback::WebhookSecrets;
use crate::cors::CorsOrigins;
use crate::engine::redis::RedisUrl;
use crate::redacted::Secret;
use ipnet::IpNet;
use kinds::{
    API_KEYS, API_PREFIX, BATCH, BUCKET, BUCKETS, BYTES, COUNT, DELAY, DIMENSION, FLAG, HOSTS, IP,
    JOBS, KEY_PREFIX, LEASE, LIFETIME, LOG_FILTER, LOG_FORMAT, LOG_LEVEL, NAME, NETWORKS,
    OPTIONAL_FLAG, OPTIONAL_NAME, OPTIONAL_PATH, OPTIONAL_SECRET, OPTIONAL_TEXT, OPTIONAL_URL,
    ORIGINS, PATH, PORT, REDIS, RESULT_URL_KIND, ROLE, SECONDS, SERVERS, SIGNING_SECRET, SIZE,
    STORAGE, TEXT, WEBHOOK_SECRETS, WORKERS,
};
use source::{Reading, Variables};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Name, default and meaning of a setting, for documentation.
#[derive(Debug, Clone, Copy)]
pub struct SettingSpec {
    /// The environment variable.
    pub name: &'static str,
    /// The value used when it is unset or empty, as it would be written.
    pub default: &'static str,
    /// What values are allowed.
    pub expected: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// Makes of the table below: the struct, its defaults, its reading and its documentation.
macro_rules! settings {
    ($($name:literal $field:ident: $type:ty = $kind:ident($default:literal), $meaning:literal;)*) => {
        /// The settings of the service; [`Default`] gives those of an empty environment.
        #[derive(Debug, Clone)]
        pub struct Settings {
            $(#[doc = concat!($meaning, "\n\n`", $name, "`, default `", $default, "`.")]
            pub $field: $type,)*
        }

        /// All settings, in the order of the documentation.
        pub const SETTINGS: &[SettingSpec] = &[
            $(SettingSpec {
                name: $name,
                default: $default,
                expected: $kind.expected,
                meaning: $meaning,
            },)*
        ];

        impl Settings {
            fn read(reading: &mut Reading<'_>) -> Option<Self> {
                // Each is read before any is missed, so that all wrong ones are told at once.
                $(let $field = reading.value($name, $default, &$kind);)*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}

settings! {
    "SERVICE_NAME" service_name: String = TEXT("spinelift-mesh-service"),
        "Name of the service in its log.";
    "DEBUG" debug: bool = FLAG("false"),
        "Log everything the service does, unless LOG_LEVEL says otherwise.";
    "LOG_LEVEL" log_level: String = LOG_LEVEL("info"),
        "What is logged: a level (error, warn, info, debug, trace) or a tracing filter.";
    "RUST_LOG" rust_log: String = LOG_FILTER(""),
        "A tracing filter that takes the place of LOG_LEVEL.";
    "LOG_FORMAT" log_format: LogFormat = LOG_FORMAT("text"),
        "How the log is written, to standard error.";
    "HOST" host: IpAddr = IP("127.0.0.1"),
        "Address to listen on; 0.0.0.0 or :: for all.";
    "PORT" port: u16 = PORT("8000"),
        "Port to listen on; 0 picks a free one.";
    "MAX_CONNECTIONS" max_connections: NonZeroUsize = COUNT("800"),
        "Connections that are served at a time; others wait, and are answered with 503 if none of these ends, but for health checks. Past half of it, connections are closed after one answer. Half of it, of each client a quarter, may be held by event streams and answers that wait. Stay below the limit on open files (ulimit -n).";
    "IDLE_TIMEOUT" idle_timeout: Duration = SECONDS("15"),
        "Seconds that a connection may stay open while the next request has not been received as far as its body; 2 at the most while fewer than half of MAX_CONNECTIONS are free.";
    "BODY_TIMEOUT" body_timeout: Duration = SECONDS("15"),
        "Seconds that a request's body may stop arriving.";
    "WRITE_TIMEOUT" write_timeout: Duration = SECONDS("30"),
        "Seconds that a client may read nothing of what is sent to it.";
    "API_KEYS" api_keys: ApiKeys = API_KEYS(""),
        "Keys that clients must send, as `Authorization: Bearer KEY` or `X-API-Key: KEY`; unset, everybody may use the service. A name tells keys apart in the log.";
    "TRUSTED_PROXIES" trusted_proxies: Vec<IpNet> = NETWORKS(""),
        "Proxies before the service, whose X-Forwarded-For says who the client is.";
    "CORS_ORIGINS" cors_origins: CorsOrigins = ORIGINS(""),
        "Origins of web pages that may use the API from a browser, for example `https://editor.example`. Without API_KEYS pages of other origins are refused.";
    "PUBLIC_URL" public_url: Option<String> = OPTIONAL_URL(""),
        "URL under which clients reach the service, for result_url; unset, it is taken from each request's Host header. With HOST on this machine, and neither API_KEYS nor TRUSTED_PROXIES, its host and localhost are the only ones that are answered to.";
    "RESULT_URL_TTL" result_url_ttl: Duration = LIFETIME("604800"),
        "Seconds that a result_url can be fetched without a key, with API_KEYS or RESULT_URLS=presigned; with the latter 604800 at the most.";
    "RESULT_URLS" result_urls: ResultUrlKind = RESULT_URL_KIND("service"),
        "Where result_url leads: to this service, or, with STORAGE_BACKEND=s3, to the object itself by a presigned URL of S3.";
    "RESULT_IMAGES" result_images: bool = FLAG("false"),
        "Whether results may be had as png and gltf, with their image in them, which is loaded again from its URL. Whoever may fetch a result can then see its image, be it from a private host, from a bucket, or from a URL with a secret in it.";
    "URL_SIGNING_KEY" url_signing_key: Option<Secret> = SIGNING_SECRET(""),
        "Secret that result URLs are signed with, with API_KEYS; unset, one is made and kept with the jobs.";
    "API_PREFIX" api_prefix: String = API_PREFIX("/api/v1"),
        "Path before /mesh/… in all URLs but /health.";
    "MAX_REQUEST_SIZE" max_request_size: NonZeroUsize = SIZE("104857600"),
        "Most bytes of a request body.";
    "MAX_JSON_SIZE" max_json_size: NonZeroUsize = SIZE("4194304"),
        "Most bytes of a JSON document in a request body. The default has room for a batch of 500 images whose URLs are as long as may be; raise it with MAX_BATCH_SIZE.";
    "MAX_UPLOAD_STORAGE" max_upload_storage: u64 = BYTES("10737418240"),
        "Most bytes of disk that uploaded images take until their jobs have ended. Beyond it uploads are answered with 503.";
    "REQUEST_TIMEOUT" request_timeout: Duration = SECONDS("300"),
        "Seconds that answering a request may take.";
    "MAX_IMAGE_DIMENSION" max_image_dimension: u32 = DIMENSION("4096"),
        "Largest width and largest height of an image, in pixels.";
    "MAX_IMAGE_PIXELS" max_image_pixels: NonZeroUsize = COUNT("16777216"),
        "Most pixels of an image, width times height; the default is 4096 x 4096.";
    "MAX_DECODER_MEMORY" max_decoder_memory: NonZeroUsize = SIZE("134217728"),
        "Most bytes of memory that decoding an image may take.";
    "MAX_IMAGE_BYTES" max_image_bytes: NonZeroUsize = SIZE("104857600"),
        "Most bytes of an image file; the default is above what an uncompressed image of 4096 x 4096 pixels takes.";
    "MEMORY_BUDGET" memory_budget: u64 = BYTES("1073741824"),
        "Bytes of memory for jobs: one half for computing, a quarter for image files, an eighth for small ones and the beginnings of all, an eighth for request bodies. The quarter must hold MAX_IMAGE_BYTES. Jobs that do not fit wait; requests that do not are answered with 503.";
    "MAX_MESH_VERTICES" max_mesh_vertices: NonZeroUsize = COUNT("100000"),
        "Most vertices of a mesh.";
    "MAX_CONCURRENT_JOBS" max_concurrent_jobs: NonZeroUsize = WORKERS("10"),
        "Jobs that have their image and run at a time; computation is bounded by the number of cores besides.";
    "MAX_CONCURRENT_DOWNLOADS" max_concurrent_downloads: NonZeroUsize = WORKERS("64"),
        "Images that are loaded at a time, three quarters of them for one client at the most; a slow server takes none of the room of running jobs.";
    "MAX_DOWNLOADS_PER_HOST" max_downloads_per_host: NonZeroUsize = WORKERS("16"),
        "Images that are loaded from one host at a time, whatever the ports; jobs of other hosts do not wait for it.";
    "JOB_TIMEOUT" job_timeout: Duration = SECONDS("600"),
        "Seconds that a job may run, the time it waits not counted.";
    "MAX_QUEUE_LENGTH" max_queue_length: NonZeroUsize = COUNT("100000"),
        "Jobs that may wait; a waiting one takes about 0.1 KB of memory and 1 KB of disk. Beyond it requests are answered with 503.";
    "MAX_BATCH_SIZE" max_batch_size: NonZeroUsize = BATCH("500"),
        "Most images of one batch.";
    "MAX_JOBS_PER_CLIENT" max_jobs_per_client: NonZeroUsize = COUNT("10000"),
        "Jobs of one client that may be unfinished. Beyond it requests are answered with 429.";
    "JOB_TTL" job_ttl: Duration = LIFETIME("604800"),
        "Seconds that a job and its result are kept after its end.";
    "RESULT_CACHE_SIZE" result_cache_size: u64 = BYTES("1073741824"),
        "Most bytes of results that are kept for later jobs with the same image and parameters; 0 keeps none.";
    "MAX_ATTEMPTS" max_attempts: NonZeroUsize = COUNT("3"),
        "How often a job is started if the process dies while it runs.";
    "DRAIN_DELAY" drain_delay: Duration = DELAY("0"),
        "Seconds between the signal to shut down and the end of listening, in which /health/ready already says no: as long as a load balancer takes to notice.";
    "DRAIN_TIMEOUT" drain_timeout: Duration = SECONDS("20"),
        "Seconds that running jobs get to end when the service is shut down; the others resume at the next start.";
    "DNS_SERVERS" dns_servers: Vec<SocketAddr> = SERVERS(""),
        "Name servers that resolve the hosts of images and callbacks; unset, those of the system (resolv.conf). The hosts file comes first either way.";
    "DNS_TIMEOUT" dns_timeout: Duration = SECONDS("5"),
        "Seconds for resolving the name of a host.";
    "IMAGE_CONNECT_TIMEOUT" image_connect_timeout: Duration = SECONDS("5"),
        "Seconds for connecting to an image's server or a callback's receiver, once its name is resolved.";
    "IMAGE_FIRST_BYTE_TIMEOUT" image_first_byte_timeout: Duration = SECONDS("15"),
        "Seconds until an image's server has to begin its answer, connecting included.";
    "IMAGE_TIMEOUT" image_timeout: Duration = SECONDS("120"),
        "Seconds for loading an image once, redirects included. A server that takes longer is not tried again.";
    "IMAGE_TRIES" image_tries: NonZeroUsize = COUNT("3"),
        "How often an image is tried to be loaded while its server fails in ways that may pass.";
    "IMAGE_TOTAL_TIMEOUT" image_total_timeout: Duration = SECONDS("240"),
        "Seconds for loading an image, all tries and the pauses between them together.";
    "SOURCE_CACHE_SIZE" source_cache_size: u64 = BYTES("67108864"),
        "Most bytes of images that are kept in memory, besides MEMORY_BUDGET, in case they are asked for again; each is used only after its server said that it has not changed. 0 keeps none.";
    "WEBHOOK_SECRETS" webhook_secrets: WebhookSecrets = WEBHOOK_SECRETS(""),
        "Secrets that callbacks are signed with, each by itself, so that old and new ones are good while they are exchanged; unset, callbacks are not signed.";
    "CALLBACK_TIMEOUT" callback_timeout: Duration = SECONDS("5"),
        "Seconds that one attempt at a callback may take.";
    "CALLBACK_TRIES" callback_tries: NonZeroUsize = COUNT("9"),
        "How often the end of a job is tried to be told to its receiver.";
    "CALLBACK_BACKOFF" callback_backoff: Duration = SECONDS("5"),
        "Seconds between the first and the second attempt to tell the end of a job; the next pauses are 6, 24, 120, 720, 2160, 5760 and 8640 times as long, and none is longer than a day.";
    "ALLOWED_PRIVATE_HOSTS" allowed_private_hosts: Vec<AllowedHost> = HOSTS(""),
        "Hosts of images and callbacks that may have addresses that are not public, for example: `rails:3000,10.0.0.7,[::1]:9000`.";
    "STORAGE_BACKEND" storage_backend: StorageBackend = STORAGE("local"),
        "Where results are kept.";
    "STORAGE_PATH" storage_path: PathBuf = PATH("data/storage"),
        "Directory of the results, with STORAGE_BACKEND=local.";
    "S3_BUCKET" s3_bucket: Option<String> = BUCKET(""),
        "Bucket of the results, with STORAGE_BACKEND=s3.";
    "S3_PREFIX" s3_prefix: String = KEY_PREFIX(""),
        "What the keys of all objects in the bucket begin with, for example `spinelift/`.";
    "S3_ENDPOINT" s3_endpoint: Option<String> = OPTIONAL_URL(""),
        "URL of the S3 server; unset, Amazon's of the region. One that begins with http:// is spoken to without TLS.";
    "S3_PUBLIC_ENDPOINT" s3_public_endpoint: Option<String> = OPTIONAL_URL(""),
        "URL under which clients reach the S3 server, for presigned URLs; unset, S3_ENDPOINT.";
    "S3_REGION" s3_region: Option<String> = OPTIONAL_TEXT(""),
        "Region of the buckets; unset, AWS_REGION, else AWS_DEFAULT_REGION, else us-east-1.";
    "S3_PATH_STYLE" s3_path_style: Option<bool> = OPTIONAL_FLAG(""),
        "Whether the bucket stands in the path of URLs, and not in their host; unset, true with S3_ENDPOINT and false without.";
    "S3_CONNECT_TIMEOUT" s3_connect_timeout: Duration = SECONDS("5"),
        "Seconds for connecting to the S3 server, resolving its name included.";
    "S3_TIMEOUT" s3_timeout: Duration = SECONDS("30"),
        "Seconds for one request to the S3 server that stores or reads a result or an uploaded image; after these no further try is begun, either.";
    "ALLOWED_S3_BUCKETS" allowed_s3_buckets: Vec<AllowedBucket> = BUCKETS(""),
        "Buckets that images may come from, as image_url `s3://bucket/key`, whole or below a prefix: `sprites,shared/game/art/`. They are read with S3_ENDPOINT, S3_REGION and the credentials.";
    "AWS_ACCESS_KEY_ID" aws_access_key_id: Option<Secret> = OPTIONAL_SECRET(""),
        "Credentials for S3. Unset, they come from where AWS puts them: web identity tokens (EKS), containers (ECS, EKS pods), instances (EC2).";
    "AWS_SECRET_ACCESS_KEY" aws_secret_access_key: Option<Secret> = OPTIONAL_SECRET(""),
        "The secret of AWS_ACCESS_KEY_ID.";
    "AWS_SESSION_TOKEN" aws_session_token: Option<Secret> = OPTIONAL_SECRET(""),
        "The session of AWS_ACCESS_KEY_ID, if its credentials are temporary.";
    "AWS_REGION" aws_region: Option<String> = OPTIONAL_TEXT(""),
        "See S3_REGION.";
    "AWS_DEFAULT_REGION" aws_default_region: Option<String> = OPTIONAL_TEXT(""),
        "See S3_REGION.";
    "JOB_BACKEND" job_backend: JobBackend = JOBS("embedded"),
        "Where jobs are kept: embedded (or sqlite, the same) is a file of this process; redis is a server, which any number of processes share.";
    "DATABASE_PATH" database_path: PathBuf = PATH("data/jobs.db"),
        "File of the jobs, with JOB_BACKEND=embedded; others cannot read it unless they could before.";
    "REDIS_URL" redis_url: RedisUrl = REDIS("redis://localhost:6379/0"),
        "Servers of the jobs, with JOB_BACKEND=redis: Redis from 6.2 on, or Valkey. User and password go before an @: redis://user:password@host:6379/0; those for sentinels are added as &sentinel_user= and &sentinel_password=.";
    "REDIS_CA_FILE" redis_ca_file: Option<PathBuf> = OPTIONAL_PATH(""),
        "File of PEM certificates of the authorities that are trusted to certify the servers of REDIS_URL; unset, those of the system.";
    "REDIS_NAMESPACE" redis_namespace: String = NAME("spinelift"),
        "What the names of all keys in Redis begin with. Processes with the same one work together; others do not know of them.";
    "NODE_NAME" node_name: Option<String> = OPTIONAL_NAME(""),
        "Name of this process among those that share JOB_BACKEND=redis; a second one of the same name does not start. Unset, the host's name and something random.";
    "JOB_LEASE" job_lease: Duration = LEASE("15"),
        "Seconds without a sign of life after which the jobs of a process are given to others, with JOB_BACKEND=redis.";
    "ROLE" role: Role = ROLE("all"),
        "What this process does, with JOB_BACKEND=redis: api answers requests, worker runs jobs and makes callbacks (and answers only /health and /metrics), all does both.";
}

impl Default for Settings {
    fn default() -> Self {
        Self::from_variables(|_| None)
            .unwrap_or_else(|error| unreachable!("the defaults are tested to be readable: {error}"))
    }
}

impl Settings {
    /// Reads the environment, and the file `.env` for what is not set there.
    ///
    /// # Errors
    /// Every setting that is wrong, or a malformed `.env`.
    pub fn from_env() -> Result<Self, SettingsError> {
        let variables = Variables::of_process()?;
        Self::from_variables(|name| variables.get(name))
    }

    /// Reads settings from wherever `variable` looks names up.
    ///
    /// # Errors
    /// Every setting that is wrong.
    pub fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let mut reading = Reading::new(&variable);
        match Self::read(&mut reading) {
            Some(settings) if reading.wrong.is_empty() => Ok(settings),
            _ => Err(SettingsError::Wrong(reading.wrong)),
        }
    }

    /// The filter for the log: `RUST_LOG`, else `LOG_LEVEL`, else what `DEBUG` says.
    #[must_use]
    pub fn log_filter(&self) -> &str {
        match (self.rust_log.as_str(), self.log_level.as_str()) {
            ("", "info") if self.debug => "debug",
            ("", level) => level,
            (filter, _) => filter,
        }
    }
}

/// The settings as a Markdown table.
#[must_use]
pub fn documentation() -> String {
    let mut text =
        String::from("| Variable | Default | Allowed | Meaning |\n| --- | --- | --- | --- |\n");
    for spec in SETTINGS {
        let default = match spec.default {
            "" => "unset".to_owned(),
            value => format!("`{value}`"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {default} | {} | {} |",
            spec.name, spec.expected, spec.meaning
        );
    }
    text.push_str("\n`VERSION` is not a setting: the version is the program's own.\n");
    text
}

/// The settings as a `.env` file that changes nothing.
#[must_use]
pub fn example_file() -> String {
    let mut text = String::from("# Settings of spinelift-mesh; the values are the defaults.\n");
    for spec in SETTINGS {
        let _ = write!(
            text,
            "\n# {}\n# Allowed: {}.\n# {}={}\n",
            spec.meaning, spec.expected, spec.name, spec.default
        );
    }
    text
}

#[cfg(test)]
mod tests;
