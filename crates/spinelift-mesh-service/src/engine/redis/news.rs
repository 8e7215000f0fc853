//! Messages between nodes: they hasten what would be found out anyway, since any may be lost.

use super::Shared;
use super::removal::Notice;
use super::servers::timed_out;
use crate::job::JobId;
use futures_util::StreamExt;
use redis::aio::{PubSub, PubSubSink};
use redis::{Msg, RedisError};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// What every node listens to, besides a channel of its own on which it is woken. Each message goes
/// to all nodes: so none of these is for what every job brings about.
const CHANNELS: [&str; 3] = ["due", "cancelled", "left"];

/// The channel of one node.
fn own_channel(shared: &Shared) -> String {
    format!("work:{}", shared.node.token)
}

/// Pause between looks at what is watched, in case a message was lost.
const LOOK: Duration = Duration::from_secs(2);

/// Longest silence of the connection before it is asked whether it is there.
const PING: Duration = Duration::from_secs(5);

/// Listens for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut pause = Duration::from_millis(50);
    loop {
        let listening = tokio::time::timeout(PING, shared.link.servers().listen()).await;
        match listening.unwrap_or_else(|_| Err(timed_out())) {
            Ok(listening) => {
                pause = Duration::from_millis(50);
                if let Err(error) = listen(&shared, listening).await {
                    tracing::debug!(%error, "messages of other nodes are missed");
                }
            }
            Err(error) => tracing::debug!(%error, "messages of other nodes cannot be heard"),
        }
        // Whoever waits looks for himself as long as nothing is heard.
        everything_changed(&shared);
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

fn everything_changed(shared: &Shared) {
    shared.fetcher.stirred.notify_one();
    shared.deliveries.stirred.notify_one();
    shared.locks.left.notify_waiters();
    for id in shared.held.live.watched() {
        shared.held.live.changed(&id);
    }
}

/// Until the connection breaks.
async fn listen(shared: &Shared, listening: PubSub) -> Result<(), RedisError> {
    let (mut sink, mut messages) = listening.split();
    let prefix = shared.link.prefix();
    let channels: Vec<_> = CHANNELS
        .iter()
        .map(|name| (*name).to_owned())
        .chain([own_channel(shared)])
        .map(|name| format!("{prefix}{name}"))
        .collect();
    sink.subscribe(&channels).await?;
    shared.listening.notify_one();
    everything_changed(shared);
    let mut watched = HashSet::new();
    let mut look = tokio::time::interval(LOOK);
    let mut ping = tokio::time::interval(PING);
    for interval in [&mut look, &mut ping] {
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    loop {
        tokio::select! {
            message = messages.next() => match message {
                Some(message) => heed(shared, &message),
                None => return Ok(()),
            },
            () = shared.watching.notified() => follow(shared, &mut sink, &mut watched).await?,
            _ = look.tick() => {
                follow(shared, &mut sink, &mut watched).await?;
                for id in &watched {
                    shared.held.live.changed(id);
                }
            }
            _ = ping.tick() => {
                let pong = sink.ping::<redis::Value>();
                match tokio::time::timeout(PING, pong).await {
                    Ok(pong) => {
                        pong?;
                    }
                    Err(_) => return Ok(()),
                }
            }
        }
    }
}

/// Listens to the changes of what is watched here, and of nothing else.
async fn follow(
    shared: &Shared,
    sink: &mut PubSubSink,
    watched: &mut HashSet<JobId>,
) -> Result<(), RedisError> {
    let prefix = shared.link.prefix();
    let wanted: HashSet<_> = shared.held.live.watched().into_iter().collect();
    let channels = |ids: Vec<&JobId>| -> Vec<String> {
        ids.into_iter()
            .map(|id| format!("{prefix}changed:{id}"))
            .collect()
    };
    let gone = channels(watched.difference(&wanted).collect());
    if !gone.is_empty() {
        sink.unsubscribe(&gone).await?;
    }
    let new: Vec<_> = wanted.difference(watched).cloned().collect();
    if !new.is_empty() {
        sink.subscribe(&channels(new.iter().collect())).await?;
        // What changed before now was not heard.
        for id in &new {
            shared.held.live.changed(id);
        }
    }
    *watched = wanted;
    Ok(())
}

fn heed(shared: &Shared, message: &Msg) {
    let Some(channel) = message
        .get_channel_name()
        .strip_prefix(shared.link.prefix())
    else {
        return;
    };
    match channel {
        "due" => shared.deliveries.stirred.notify_one(),
        "left" => shared.locks.left.notify_waiters(),
        "cancelled" => {
            let notice = message.get_payload::<String>().ok();
            if let Some(notice) = notice.and_then(|text| Notice::parse(&text)) {
                notice.heed(shared);
            }
        }
        own if own == own_channel(shared) => shared.fetcher.stirred.notify_one(),
        other => {
            let id = other.strip_prefix("changed:").map(JobId::parse);
            if let Some(Ok(id)) = id {
                shared.held.live.changed(&id);
            }
        }
    }
}
