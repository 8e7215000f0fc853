//! How long loading an image may take, stage by stage.

use super::SourceLimits;
use crate::stopwatch::Stopwatch;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A part of loading with a bound of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Dns,
    Connect,
    FirstByte,
    Download,
    AllTries,
}

/// A stage took longer than its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Late {
    pub(super) stage: Stage,
    pub(super) limit: Duration,
}

impl Stage {
    /// The stage's name in the details of an error.
    pub(super) fn name(self) -> &'static str {
        match self {
            Stage::Dns => "dns",
            Stage::Connect => "connect",
            Stage::FirstByte => "first_byte",
            Stage::Download => "download",
            Stage::AllTries => "all_tries",
        }
    }

    /// The setting with the bound.
    pub(super) fn setting(self) -> &'static str {
        match self {
            Stage::Dns => "DNS_TIMEOUT",
            Stage::Connect => "IMAGE_CONNECT_TIMEOUT",
            Stage::FirstByte => "IMAGE_FIRST_BYTE_TIMEOUT",
            Stage::Download => "IMAGE_TIMEOUT",
            Stage::AllTries => "IMAGE_TOTAL_TIMEOUT",
        }
    }

    /// What did not happen in time, to be put after the URL.
    pub(super) fn failure(self) -> &'static str {
        match self {
            Stage::Dns => "could not be found: no name server answered",
            Stage::Connect => "could not be connected to",
            Stage::FirstByte => "did not begin to answer",
            Stage::Download => "was not loaded completely",
            Stage::AllTries => "was not loaded, all tries together,",
        }
    }
}

/// When the current try, and all tries together, are given up.
#[derive(Debug)]
pub(super) struct Deadlines {
    first_byte: Duration,
    download: Duration,
    all: Duration,
    try_ends: Instant,
    all_end: Instant,
    /// The time of the whole job.
    stopwatch: Stopwatch,
}

impl Deadlines {
    pub(super) fn new(limits: &SourceLimits, stopwatch: &Stopwatch) -> Self {
        let now = Instant::now();
        Self {
            first_byte: limits.first_byte,
            download: limits.download,
            all: limits.all_tries,
            try_ends: now + limits.download,
            all_end: now + limits.all_tries,
            stopwatch: stopwatch.clone(),
        }
    }

    /// Another try begins.
    pub(super) fn next_try(&mut self) {
        self.try_ends = Instant::now() + self.download;
    }

    /// Whether there will be time left after a pause.
    pub(super) fn allow(&self, pause: Duration) -> bool {
        Instant::now() + pause < self.all_end
    }

    /// Waits for the head of an answer.
    pub(super) async fn head<T>(&self, answer: impl Future<Output = T>) -> Result<T, Late> {
        let first_byte = Late {
            stage: Stage::FirstByte,
            limit: self.first_byte,
        };
        self.within(answer, Some((Instant::now() + self.first_byte, first_byte)))
            .await
    }

    /// Waits for a part of a body.
    pub(super) async fn part<T>(&self, part: impl Future<Output = T>) -> Result<T, Late> {
        self.within(part, None).await
    }

    /// Waits for something that is no fault of the server, and counts for nothing.
    pub(super) async fn apart<T>(&mut self, ours: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let value = self.stopwatch.apart(ours).await;
        self.try_ends += began.elapsed();
        self.all_end += began.elapsed();
        value
    }

    async fn within<T>(
        &self,
        future: impl Future<Output = T>,
        stage: Option<(Instant, Late)>,
    ) -> Result<T, Late> {
        let late = |stage, limit| Late { stage, limit };
        let bounds = [
            Some((self.try_ends, late(Stage::Download, self.download))),
            Some((self.all_end, late(Stage::AllTries, self.all))),
            stage,
        ];
        let first = bounds.into_iter().flatten().min_by_key(|(ends, _)| *ends);
        match first {
            Some((ends, late)) => timeout_at(ends, future).await.map_err(|_| late),
            None => Ok(future.await),
        }
    }
}
