//! How many events are posted at a time: each holds a connection, and a receiver that hangs holds
//! it for seconds, while jobs take milliseconds. Without bounds one such receiver would take every
//! file descriptor of the process, and images and results would fail for want of one.
//!
//! Receivers that answer promptly share all of the room. What the others take of it together is
//! bounded, so that however many of them hang, there is room left for those.

use super::event::Event;
use super::post::{NotTaken, Poster};
use crate::engine::DeliveryId;
use crate::redacted::RedactedUrl;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most posts at a time.
const ALL: usize = 128;

/// Most of them to receivers of which nothing is known yet, all together.
const NEW: usize = ALL / 2;

/// Most of them to receivers that were slow the last time, all together.
const SLOW: usize = ALL / 4;

/// Most of them to one receiver.
const EACH: usize = 16;

/// An answer that takes longer than this is slow.
pub(super) const PROMPT: Duration = Duration::from_secs(1);

/// Receivers beyond this number are forgotten while nothing is posted to them.
const KNOWN: usize = 1024;

/// How a receiver has answered the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It has not been asked yet.
    New,
    Prompt,
    Slow,
    /// Not at all, and it took long to find that out.
    Silent,
}

impl Standing {
    fn after(took: Duration, answered: bool) -> Self {
        match (took < PROMPT, answered) {
            // To be refused at once costs nothing.
            (true, _) => Self::Prompt,
            (false, true) => Self::Slow,
            (false, false) => Self::Silent,
        }
    }

    /// Most posts to such a receiver at a time.
    fn lanes(self) -> usize {
        match self {
            Self::Prompt => EACH,
            Self::Slow => EACH / 4,
            Self::New | Self::Silent => 1,
        }
    }
}

/// All lanes.
pub(super) struct Lanes {
    room: Arc<AllRoom>,
    receivers: Mutex<HashMap<String, Arc<Receiver>>>,
}

struct AllRoom {
    all: Arc<Semaphore>,
    new: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

struct Receiver {
    lanes: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    standing: Standing,
    /// Lanes that are to be closed as soon as they are free.
    excess: usize,
}

/// The lanes to one receiver.
pub(super) struct Lane {
    room: Arc<AllRoom>,
    receiver: Arc<Receiver>,
}

/// Room for one post, until it is dropped.
pub(super) struct Room {
    own: Own,
    _shared: Option<OwnedSemaphorePermit>,
    _all: OwnedSemaphorePermit,
}

/// One lane of a receiver.
struct Own {
    receiver: Arc<Receiver>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Lanes {
    pub(super) fn new() -> Self {
        let room = AllRoom {
            all: Arc::new(Semaphore::new(ALL)),
            new: Arc::new(Semaphore::new(NEW)),
            slow: Arc::new(Semaphore::new(SLOW)),
        };
        Self {
            room: Arc::new(room),
            receivers: Mutex::default(),
        }
    }

    /// The lanes to the receiver behind a URL.
    pub(super) fn to(&self, url: &RedactedUrl) -> Lane {
        let name = url.receiver();
        let mut receivers = self.receivers.lock();
        let known = receivers.get(&name).map(Arc::clone);
        let receiver = known.unwrap_or_else(|| {
            if receivers.len() >= KNOWN {
                receivers.retain(|_, receiver| Arc::strong_count(receiver) > 1);
            }
            let receiver = Arc::new(Receiver::new());
            receivers.insert(name, Arc::clone(&receiver));
            receiver
        });
        Lane {
            room: Arc::clone(&self.room),
            receiver,
        }
    }
}

impl Receiver {
    fn new() -> Self {
        let standing = Standing::New;
        Self {
            lanes: Arc::new(Semaphore::new(standing.lanes())),
            state: Mutex::new(State {
                standing,
                excess: 0,
            }),
        }
    }

    fn standing(&self) -> Standing {
        self.state.lock().standing
    }

    /// Opens and closes lanes.
    fn judge(&self, standing: Standing) {
        let mut state = self.state.lock();
        let (before, now) = (state.standing.lanes(), standing.lanes());
        state.standing = standing;
        if now > before {
            let kept = state.excess.min(now - before);
            state.excess -= kept;
            self.lanes.add_permits(now - before - kept);
        } else {
            state.excess += before - now - self.lanes.forget_permits(before - now);
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let mut state = self.receiver.state.lock();
        if state.excess > 0
            && let Some(permit) = self.permit.take()
        {
            state.excess -= 1;
            permit.forget();
        }
    }
}

impl Lane {
    /// Waits for room for one post. The receiver's own lane comes first: who waits for it must not
    /// take room from the others.
    pub(super) async fn enter(&self) -> Room {
        let own = Own {
            permit: Some(one(&self.receiver.lanes).await),
            receiver: Arc::clone(&self.receiver),
        };
        let shared = match self.receiver.standing() {
            Standing::New => Some(one(&self.room.new).await),
            Standing::Slow | Standing::Silent => Some(one(&self.room.slow).await),
            Standing::Prompt => None,
        };
        Room {
            own,
            _shared: shared,
            _all: one(&self.room.all).await,
        }
    }
}

async fn one(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let Ok(permit) = Arc::clone(semaphore).acquire_owned().await else {
        unreachable!("the lanes of callbacks are never closed")
    };
    permit
}

impl Room {
    /// Posts an event, and takes note of how the receiver answers.
    pub(super) async fn post(
        &self,
        poster: &Poster,
        url: &RedactedUrl,
        id: &DeliveryId,
        event: &Event,
    ) -> Result<u16, NotTaken> {
        let began = Instant::now();
        let taken = poster.post(url, id, event).await;
        let answered = match &taken {
            Ok(_) => true,
            Err(failure) => failure.status.is_some(),
        };
        let standing = Standing::after(began.elapsed(), answered);
        self.own.receiver.judge(standing);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    fn url(text: &str) -> RedactedUrl {
        RedactedUrl::new(text.parse().expect(text))
    }

    fn lane(lanes: &Lanes, host: &str) -> Lane {
        lanes.to(&url(&format!("http://{host}.example/")))
    }

    /// Enters as often as there is room, at most so often.
    async fn fill(lane: &Lane, most: usize) -> Vec<Room> {
        let mut rooms = Vec::new();
        // The runtime makes tasks wait that have had their way too often.
        tokio::task::yield_now().await;
        while rooms.len() < most {
            let mut next = pin!(lane.enter());
            let ready = poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await;
            let Poll::Ready(room) = ready else { break };
            rooms.push(room);
        }
        rooms
    }

    #[tokio::test]
    async fn a_receiver_has_as_many_lanes_as_its_last_answer_earns_it() {
        let lanes = Lanes::new();
        let lane = lane(&lanes, "a");
        assert_eq!(fill(&lane, 99).await.len(), 1);
        for (standing, expected) in [
            (Standing::Prompt, EACH),
            (Standing::Slow, EACH / 4),
            (Standing::Silent, 1),
            (Standing::Prompt, EACH),
            (Standing::Silent, 1),
        ] {
            lane.receiver.judge(standing);
            assert_eq!(fill(&lane, 99).await.len(), expected, "{standing:?}");
        }
    }

    #[tokio::test]
    async fn lanes_that_are_in_use_are_closed_when_they_are_free() {
        let lanes = Lanes::new();
        let lane = lane(&lanes, "a");
        lane.receiver.judge(Standing::Prompt);
        let mut rooms = fill(&lane, 99).await;
        lane.receiver.judge(Standing::Silent);
        lane.receiver.judge(Standing::Slow);
        lane.receiver.judge(Standing::Silent);
        rooms.truncate(1);
        assert!(fill(&lane, 99).await.is_empty());
        drop(rooms);
        assert_eq!(fill(&lane, 99).await.len(), 1);
        lane.receiver.judge(Standing::Prompt);
        let rooms = fill(&lane, 99).await;
        lane.receiver.judge(Standing::Silent);
        lane.receiver.judge(Standing::Prompt);
        drop(rooms);
        assert_eq!(fill(&lane, 99).await.len(), EACH);
    }

    #[tokio::test]
    async fn receivers_that_hang_leave_room_for_the_others() {
        let lanes = Lanes::new();
        let mut taken = Vec::new();
        for number in 0..ALL {
            let lane = lane(&lanes, &format!("new-{number}"));
            taken.extend(fill(&lane, 99).await);
        }
        assert_eq!(taken.len(), NEW);
        for number in 0..ALL {
            let lane = lane(&lanes, &format!("silent-{number}"));
            lane.receiver.judge(Standing::Silent);
            taken.extend(fill(&lane, 99).await);
        }
        assert_eq!(taken.len(), NEW + SLOW);
        let prompt = lane(&lanes, "prompt");
        prompt.receiver.judge(Standing::Prompt);
        assert_eq!(fill(&prompt, 99).await.len(), EACH);
    }

    #[tokio::test]
    async fn a_server_is_one_receiver_and_is_forgotten_only_if_there_are_many() {
        let lanes = Lanes::new();
        let receiver = lanes.to(&url("http://a.example/a")).receiver;
        receiver.judge(Standing::Silent);
        let same = lanes.to(&url("http://a.example:80/b")).receiver;
        assert!(Arc::ptr_eq(&receiver, &same));
        drop((receiver, same));
        let again = lane(&lanes, "a").receiver;
        assert_eq!(again.standing(), Standing::Silent);
        for number in 0..KNOWN + 10 {
            lane(&lanes, &number.to_string());
        }
        assert!(lanes.receivers.lock().len() <= KNOWN);
        assert!(Arc::ptr_eq(&again, &lane(&lanes, "a").receiver));
    }

    #[test]
    fn standing_follows_from_time_and_answer() {
        for (seconds, answered, standing) in [
            (0, true, Standing::Prompt),
            (0, false, Standing::Prompt),
            (1, true, Standing::Slow),
            (10, false, Standing::Silent),
        ] {
            let took = Duration::from_secs(seconds);
            assert_eq!(Standing::after(took, answered), standing);
        }
    }
}
