//! Connecting: to one server, to a cluster, or to whichever server sentinels name.

use super::url::{Kind, RedisUrl};
use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, Pipeline, RedisError,
    RedisFuture, RedisResult, TlsCertificates, TlsMode, Value,
};
use std::time::Duration;
use tokio::sync::Mutex;

/// Longest time for connecting, TLS included.
const CONNECT: Duration = Duration::from_secs(2);

/// Longest time for an answer.
pub(super) const ANSWER: Duration = Duration::from_secs(3);

/// How the servers are reached.
pub(super) enum Servers {
    One(Box<Client>),
    Cluster {
        client: Box<ClusterClient>,
        /// Those of the URL, for what the client cannot do.
        seeds: Vec<Client>,
    },
    // The client looks for the server through each of its sentinels.
    Sentinel(Box<Mutex<SentinelClient>>),
}

/// A connection for commands. Its copies are the same connection.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Servers {
    /// `authorities` is a PEM file of certificates to trust instead of the system's.
    pub(super) fn new(url: &RedisUrl, authorities: Option<Vec<u8>>) -> RedisResult<Self> {
        let certificates = authorities.map(|pem| TlsCertificates {
            client_tls: None,
            root_cert: Some(pem),
        });
        Ok(match &url.kind {
            Kind::One => {
                let mut clients = clients(url, certificates.as_ref())?;
                Self::One(Box::new(clients.remove(0)))
            }
            Kind::Cluster => {
                let mut builder = ClusterClientBuilder::new(url.servers.clone())
                    // What fails is repeated by whoever knows how long it may take.
                    .retries(1)
                    .connection_timeout(CONNECT)
                    .response_timeout(ANSWER);
                if let Some(certificates) = certificates.clone() {
                    builder = builder.certs(certificates);
                }
                Self::Cluster {
                    client: Box::new(builder.build()?),
                    seeds: clients(url, certificates.as_ref())?,
                }
            }
            Kind::Sentinel {
                master,
                user,
                password,
            } => {
                let sentinel = sentinel(
                    url,
                    master,
                    (user.as_ref(), password.as_ref()),
                    certificates,
                )?;
                Self::Sentinel(Box::new(Mutex::new(sentinel)))
            }
        })
    }

    /// Connects for commands.
    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        match self {
            Self::One(client) => one(client).await,
            Self::Cluster { client, .. } => {
                let connection = client.get_async_connection().await?;
                Ok(Connection::Cluster(connection))
            }
            Self::Sentinel(sentinel) => {
                let client = sentinel.lock().await.async_get_client().await?;
                one(&client).await
            }
        }
    }

    /// Connects for messages. In a cluster any server has all of them.
    pub(super) async fn listen(&self) -> RedisResult<PubSub> {
        match self {
            Self::One(client) => client.get_async_pubsub().await,
            Self::Cluster { seeds, .. } => {
                let mut last = None;
                let first = fastrand::usize(..seeds.len().max(1));
                for client in seeds.iter().cycle().skip(first).take(seeds.len()) {
                    match tokio::time::timeout(CONNECT, client.get_async_pubsub()).await {
                        Ok(Ok(listening)) => return Ok(listening),
                        Ok(Err(error)) => last = Some(error),
                        Err(_) => last = Some(timed_out()),
                    }
                }
                Err(last.unwrap_or_else(timed_out))
            }
            Self::Sentinel(sentinel) => {
                let client = sentinel.lock().await.async_get_client().await?;
                client.get_async_pubsub().await
            }
        }
    }
}

pub(super) fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

async fn one(client: &Client) -> RedisResult<Connection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER));
    let connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    Ok(Connection::One(connection))
}

fn clients(url: &RedisUrl, certificates: Option<&TlsCertificates>) -> RedisResult<Vec<Client>> {
    let client = |server: &ConnectionInfo| match certificates {
        Some(certificates) if is_encrypted(server) => {
            Client::build_with_tls(server.clone(), certificates.clone())
        }
        _ => Client::open(server.clone()),
    };
    url.servers.iter().map(client).collect()
}

fn is_encrypted(server: &ConnectionInfo) -> bool {
    matches!(server.addr(), ConnectionAddr::TcpTls { .. })
}

/// Of the URL, user, password and database are the server's; sentinels have their own.
fn sentinel(
    url: &RedisUrl,
    master: &str,
    (user, password): (Option<&String>, Option<&String>),
    certificates: Option<TlsCertificates>,
) -> RedisResult<SentinelClient> {
    let sentinels = url.servers.iter().map(|server| server.addr().clone());
    let mut builder = SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)?;
    if let Some(user) = user {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = password {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if let Some(server) = url.servers.first() {
        let redis = server.redis_settings();
        builder = builder.set_client_to_redis_db(redis.db());
        if let Some(user) = redis.username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = redis.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if is_encrypted(server) {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
            if let Some(certificates) = certificates {
                builder = builder
                    .set_client_to_redis_certificates(certificates.clone())
                    .set_client_to_sentinel_certificates(certificates);
            }
        }
    }
    builder.build()
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
