//! The distributed engine: Redis Streams, any number of nodes.
//!
//! * What belongs together is done by one script in one step (`scripts`), and every script may be
//!   repeated: an answer that is lost says nothing about whether it ran.
//! * Jobs wait in streams with a consumer group (`scripts/queue.lua`). A node begins as many as its
//!   workers can take (`fetch`) and says again and again that it goes on with them; those of a node
//!   that is silent for a lease are taken from it (`lease`). Each attempt has a token of its own,
//!   without which it can end nothing.
//! * Deliveries are leased to nodes in the same way (`outbox`).
//! * Messages hasten what would be found out anyway (`news`).

mod accept;
mod attempt;
mod checks;
mod connecting;
mod deliveries;
mod fetch;
mod held;
mod lease;
mod link;
mod locks;
mod news;
mod node;
mod open_error;
mod opening;
mod outbox;
mod progress;
mod reading;
mod records;
mod refusal;
mod removal;
mod results;
mod scripts;
mod secrets;
mod servers;
mod url;
mod workers;

pub use checks::Unsuitable;
pub use open_error::OpenError;
pub use opening::Options;
pub use refusal::Refusal;
pub use url::RedisUrl;

use super::live::Watch;
use super::{
    Accepted, AcceptedBatch, Attempt, Backlog, Bounds, Cancelled, Claim, Deleted, Delivery,
    DeliveryId, DeliveryRecord, EngineError, Expired, Fenced, Filter, JobEngine, Lane, NewBatch,
    NewJob, Next, Outbox, Outcome, Page, Replayed, ResultIndex, ResultKey, ResultObject, Turn,
    Work,
};
use crate::clock;
use crate::job::{Batch, Job, JobId, Progress};
use crate::metrics::RedisMetrics;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use deliveries::Deliveries;
use fetch::Fetcher;
use held::Held;
use lease::Memory;
use link::Link;
use locks::Locks;
use node::Node;
use parking_lot::Mutex;
use progress::Made;
use scripts::CHECK;
use secrets::Secrets;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use workers::Workers;

/// [`JobEngine`] in Redis.
pub struct RedisEngine {
    shared: Arc<Shared>,
    made: UnboundedSender<Made>,
    tasks: Mutex<JoinSet<()>>,
}

/// What the parts of the engine share.
struct Shared {
    link: Link,
    node: Node,
    lease: Duration,
    /// Whether this node runs jobs.
    works: bool,
    /// Empty if it signs nothing.
    signing: String,
    bounds: Bounds,
    fetcher: Arc<Fetcher>,
    held: Held,
    deliveries: Deliveries,
    locks: Locks,
    secrets: Secrets,
    memory: Memory,
    workers: Workers,
    /// Something is watched that was not.
    watching: Notify,
    /// Messages are heard, again perhaps.
    listening: Notify,
    metrics: RedisMetrics,
}

impl Shared {
    /// In milliseconds.
    fn lease_text(&self) -> String {
        self.lease.as_millis().to_string()
    }
}

impl RedisEngine {
    /// The name of this node.
    #[must_use]
    pub fn node(&self) -> String {
        self.shared.node.name()
    }
}

/// A name that nothing else has.
fn token() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// How long ago a moment is by the clock of this node, in milliseconds: the server's clock may show
/// another time.
fn age(moment: DateTime<Utc>) -> String {
    (clock::now() - moment).num_milliseconds().to_string()
}

fn unexpected(what: impl ToString) -> EngineError {
    EngineError::Unavailable {
        reason: format!("an answer that was not expected: {}", what.to_string()),
    }
}

#[async_trait]
impl JobEngine for RedisEngine {
    async fn accept(&self, job: NewJob) -> Result<Accepted, EngineError> {
        accept::job(&self.shared, job).await
    }

    async fn accept_batch(&self, batch: NewBatch) -> Result<AcceptedBatch, EngineError> {
        accept::batch(&self.shared, batch).await
    }

    async fn claim(&self) -> Result<Option<(Claim, Lane)>, EngineError> {
        self.shared.fetcher.next().await
    }

    fn report(&self, claim: &Claim, progress: Progress) {
        let Some(token) = self.shared.held.token(claim) else {
            return;
        };
        let made = Made {
            id: claim.job.id.clone(),
            token,
            percent: progress.percent,
        };
        self.shared.held.live.report(claim, progress);
        // The task lives as long as the engine.
        let _ = self.made.send(made);
    }

    async fn finish(&self, claim: &Claim, outcome: Outcome) -> Result<Fenced, EngineError> {
        attempt::finish(&self.shared, claim, &outcome).await
    }

    async fn release(&self, claim: &Claim) -> Result<Fenced, EngineError> {
        attempt::release(&self.shared, claim).await
    }

    async fn cancel(&self, id: &JobId) -> Result<Option<Cancelled>, EngineError> {
        removal::cancel(&self.shared, id).await
    }

    async fn delete(&self, id: &JobId) -> Result<Option<Deleted>, EngineError> {
        removal::delete(&self.shared, id).await
    }

    async fn expire(&self, before: DateTime<Utc>) -> Result<Expired, EngineError> {
        removal::expire(&self.shared, before).await
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, EngineError> {
        reading::job(&self.shared, id).await
    }

    async fn batch(&self, id: &JobId) -> Result<Option<Batch>, EngineError> {
        reading::batch(&self.shared, id).await
    }

    async fn list(&self, filter: Filter) -> Result<Page, EngineError> {
        reading::page(&self.shared, &filter).await
    }

    async fn progress(&self, id: &JobId) -> Result<Option<(u32, Vec<Progress>)>, EngineError> {
        reading::progress(&self.shared, id).await
    }

    fn watch(&self, id: &JobId) -> Watch {
        let watch = self.shared.held.live.watch(id);
        self.shared.watching.notify_one();
        watch
    }

    async fn turn(&self, work: &Work) -> Turn {
        locks::turn(&self.shared, work).await
    }

    async fn secret(&self, name: &'static str) -> Result<[u8; 32], EngineError> {
        secrets::get(&self.shared, name).await
    }

    async fn check(&self) -> Result<(), EngineError> {
        self.shared
            .link
            .run::<String>(&CHECK, &[])
            .await
            .map(|_| ())
    }

    async fn backlog(&self) -> Result<Backlog, EngineError> {
        reading::backlog(&self.shared).await
    }

    fn nobody_works(&self) -> bool {
        self.shared.workers.are_missing()
    }

    async fn check_room(&self, client: &str) -> Result<(), EngineError> {
        accept::check_room(&self.shared, client).await
    }

    fn stop_claiming(&self) {
        self.shared.fetcher.closed.cancel();
    }

    async fn close(&self) {
        let shared = &self.shared;
        self.stop_claiming();
        shared.deliveries.close();
        fetch::finish(shared).await;
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.shutdown().await;
        outbox::give_back(shared).await;
        shared.node.leave(&shared.link).await;
        shared.link.close();
    }
}

#[async_trait]
impl Outbox for RedisEngine {
    async fn due(&self) -> Result<Option<(Delivery, Lane)>, EngineError> {
        outbox::due(&self.shared).await
    }

    async fn attempted(
        &self,
        delivery: &Delivery,
        attempt: Attempt,
        next: Next,
    ) -> Result<(), EngineError> {
        outbox::attempted(&self.shared, delivery, attempt, next).await
    }

    async fn deliveries(&self, of: &JobId) -> Result<Vec<DeliveryRecord>, EngineError> {
        outbox::list(&self.shared, of).await
    }

    async fn replay(&self, of: &JobId, id: &DeliveryId) -> Result<Replayed, EngineError> {
        outbox::replay(&self.shared, of, id).await
    }

    async fn telling(&self, batch: &JobId, ended: u32) -> Option<Turn> {
        locks::telling(&self.shared, batch, ended).await
    }

    fn finish_due(&self) {
        self.shared.deliveries.finish();
    }

    async fn undelivered(&self) -> Result<usize, EngineError> {
        outbox::undelivered(&self.shared).await
    }
}

#[async_trait]
impl ResultIndex for RedisEngine {
    async fn cached(&self, key: &ResultKey) -> Result<Option<ResultObject>, EngineError> {
        results::find(&self.shared, key).await
    }

    async fn shrink_cache(&self, bytes: u64) -> Result<Vec<ResultObject>, EngineError> {
        results::shrink(&self.shared, bytes).await
    }

    async fn forget(&self, object: &ResultObject) -> Result<(), EngineError> {
        results::forget(&self.shared, object).await
    }

    async fn unused(&self, objects: Vec<ResultObject>) -> Result<Vec<ResultObject>, EngineError> {
        results::unknown(&self.shared, &objects).await
    }
}
