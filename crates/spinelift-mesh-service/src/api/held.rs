//! Answers that are held: streams of events, and answers that wait for the end of a job.

use crate::error::ApiError;
use axum::http::StatusCode;
use parking_lot::Mutex;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// Places for answers that are held. Each takes a connection for as long as its job does, so they
/// get half of `MAX_CONNECTIONS`, and a client gets half of those: the rest is for what is answered
/// at once.
pub(crate) struct HeldAnswers {
    most: usize,
    most_of_client: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    all: usize,
    /// By client; who holds none is not in it.
    of_clients: HashMap<String, usize>,
}

/// The place of one answer, until it is dropped.
pub(super) struct Holding {
    answers: Arc<HeldAnswers>,
    client: String,
}

/// There is no place left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// For anybody.
    All(usize),
    /// For this client.
    OfClient(usize),
}

impl HeldAnswers {
    pub(crate) fn new(max_connections: usize) -> Self {
        let most = (max_connections / 2).max(1);
        Self {
            most,
            most_of_client: most.div_ceil(2),
            held: Mutex::default(),
        }
    }

    /// A place for one more answer to a client.
    pub(super) fn enter(self: &Arc<Self>, client: &str) -> Result<Holding, NoPlace> {
        let mut held = self.held.lock();
        if held.all >= self.most {
            return Err(NoPlace::All(self.most));
        }
        let own = held.of_clients.get(client).copied().unwrap_or(0);
        if own >= self.most_of_client {
            return Err(NoPlace::OfClient(self.most_of_client));
        }
        held.all += 1;
        held.of_clients.insert(client.to_owned(), own + 1);
        Ok(Holding {
            answers: Arc::clone(self),
            client: client.to_owned(),
        })
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut held = self.answers.held.lock();
        held.all -= 1;
        match held.of_clients.get_mut(&self.client) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                held.of_clients.remove(&self.client);
            }
        }
    }
}

impl From<NoPlace> for ApiError {
    fn from(error: NoPlace) -> Self {
        match error {
            NoPlace::All(most) => ApiError::unavailable(
                "TOO_MANY_STREAMS",
                format!(
                    "{most} answers are held already, half of MAX_CONNECTIONS; ask for the status, \
                     or come back later"
                ),
                json!({ "max_streams": most }),
            ),
            NoPlace::OfClient(most) => ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "TOO_MANY_STREAMS_OF_CLIENT",
                format!(
                    "{most} answers to this client are held already, a quarter of MAX_CONNECTIONS; \
                     close some, or ask for the status"
                ),
                json!({ "max_streams_of_client": most }),
            )
            .come_back_later(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_half_of_the_places_and_what_is_left_is_given_back() {
        let answers = Arc::new(HeldAnswers::new(16));
        let enter = |client: &str, count: usize| -> Vec<Holding> {
            (0..count)
                .map(|_| answers.enter(client).expect("a place"))
                .collect()
        };
        let mut of_a = enter("a", 4);
        assert_eq!(answers.enter("a").err(), Some(NoPlace::OfClient(4)));
        let of_b = enter("b", 3);
        let of_c = enter("c", 1);
        assert_eq!(answers.enter("c").err(), Some(NoPlace::All(8)));
        of_a.pop();
        drop(of_c);
        drop(enter("a", 1));
        assert_eq!(answers.held.lock().all, 6);
        drop((of_a, of_b));
        let held = answers.held.lock();
        assert_eq!((held.all, held.of_clients.len()), (0, 0));
    }

    #[test]
    fn there_is_always_one_place() {
        for connections in [1, 2, 3] {
            let answers = Arc::new(HeldAnswers::new(connections));
            let _place = answers.enter("a").expect("a place");
            assert_eq!(answers.enter("b").err(), Some(NoPlace::All(1)));
        }
    }
}
