//! What only the engine in Redis has to stand: its server, and other nodes.

mod faults;
mod kinds;
mod nodes;
mod proxy;
mod waking;

use super::*;
use proxy::Proxy;

impl Namespace {
    /// A namespace on a server of its own.
    async fn of(server: RedisServer) -> Self {
        Self {
            server,
            name: "own".to_owned(),
        }
    }

    async fn open_named(&self, name: &str) -> Result<RedisEngine, OpenError> {
        let mut options = self.options(BOUNDS);
        options.node = Some(name.to_owned());
        RedisEngine::open(options).await
    }

    /// An engine that reaches its server through a proxy.
    async fn open_through(&self, proxy: &Proxy, lease: Duration) -> RedisEngine {
        let mut options = self.options(BOUNDS);
        let url = format!("redis://127.0.0.1:{}/0", proxy.port());
        options.url = RedisUrl::parse(&url).unwrap();
        options.lease = lease;
        RedisEngine::open(options).await.unwrap()
    }

    async fn command(&self, text: &str) {
        let mut words = text.split(' ');
        let mut command = ::redis::cmd(words.next().unwrap());
        for word in words {
            let word = word.replace('@', &format!("{{{}}}:", self.name));
            command.arg(word.replace("\\t", "\t"));
        }
        let mut connection = self.server.connect().await.unwrap();
        command.query_async::<()>(&mut connection).await.unwrap();
    }
}

/// Does a job from its acceptance to its end.
async fn work(engine: &impl JobEngine, name: &str) {
    assert_eq!(engine.accept(job(name)).await, Ok(Accepted::Created));
    let claim = claim(engine).await;
    assert_eq!(claim.job.id, id(name));
    let fenced = engine.finish(&claim, completed()).await;
    assert_eq!(fenced, Ok(Fenced::Recorded));
    assert_eq!(state(engine, name).await, JobState::Completed);
}

/// Waits until the server is reached again.
async fn recovered(engine: &impl JobEngine) {
    eventually("the server is reached", || async {
        engine.check().await.ok()
    })
    .await;
}
