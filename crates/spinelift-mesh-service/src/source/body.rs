//! The body of an answer, as it comes in: counted, recognised, accounted for.

use super::deadline::Deadlines;
use super::error::Fault;
use crate::memory::{MemoryBudget, Reservation};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use reqwest::Response;
use reqwest::header::CONTENT_LENGTH;
use sha2::{Digest, Sha256};
use spinelift_mesh::image::ImageFormat;
use std::pin::pin;

/// What a download may hold before it has to wait for more memory. Most sprites are smaller.
const SMALL: usize = 1024 * 1024;

/// How many times as much as before it then waits for. Not for the whole image at once, whatever
/// its length is said to be: a server that sends slowly, or not at all, would keep others waiting.
const STEP: usize = 4;

/// Bytes that tell an image from something else, and mostly what else it is.
const BEGINNING: usize = 64;

/// A complete image.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) bytes: Bytes,
    /// SHA-256 of the bytes.
    pub(super) digest: [u8; 32],
}

/// Reads a body of at most `limit` bytes, of which so many are announced.
pub(super) async fn receive(
    chunks: impl Stream<Item = Result<Bytes, Fault>>,
    announced: Option<u64>,
    limit: usize,
    memory: &MemoryBudget,
    deadlines: &mut Deadlines,
) -> Result<(Received, Reservation), Fault> {
    let mut chunks = pin!(chunks);
    let mut body = Body::begin(announced, limit, memory, deadlines).await?;
    loop {
        let chunk = deadlines.part(chunks.next()).await.map_err(Fault::Late)?;
        match chunk {
            Some(Ok(chunk)) => body.take(&chunk, memory, deadlines).await?,
            None => return body.end(),
            Some(Err(fault)) => return Err(body.broken(fault)),
        }
    }
}

/// The body of an answer, piece by piece.
pub(super) fn chunks(response: Response) -> impl Stream<Item = Result<Bytes, Fault>> {
    futures_util::stream::unfold(Some(response), async |response| {
        let mut response = response?;
        match response.chunk().await {
            Ok(chunk) => chunk.map(|chunk| (Ok(chunk), Some(response))),
            Err(error) => Some((Err(Fault::transport(&error)), None)),
        }
    })
}

/// What the server says of the length; a hint, which may refuse an image early but never admit one.
pub(super) fn announced(response: &Response) -> Option<u64> {
    let header = response.headers().get(CONTENT_LENGTH);
    header.and_then(|value| value.to_str().ok()?.trim().parse().ok())
}

/// A body of which a part has come.
struct Body {
    bytes: Vec<u8>,
    hash: Sha256,
    announced: Option<u64>,
    limit: usize,
    /// How many bytes `memory` is for.
    reserved: usize,
    memory: Reservation,
    is_image: bool,
}

impl Body {
    async fn begin(
        announced: Option<u64>,
        limit: usize,
        memory: &MemoryBudget,
        deadlines: &mut Deadlines,
    ) -> Result<Self, Fault> {
        let reserved = SMALL.min(limit).min(memory.beginnings() as usize);
        let memory = deadlines.apart(memory.beginning(reserved as u64)).await;
        Ok(Self {
            bytes: Vec::new(),
            hash: Sha256::new(),
            announced,
            limit,
            reserved,
            memory: memory.map_err(Fault::Memory)?,
            is_image: false,
        })
    }

    async fn take(
        &mut self,
        chunk: &[u8],
        memory: &MemoryBudget,
        deadlines: &mut Deadlines,
    ) -> Result<(), Fault> {
        let length = self.bytes.len() + chunk.len();
        if length > self.limit {
            return Err(Fault::TooLarge(self.limit));
        }
        if self
            .announced
            .is_some_and(|announced| length as u64 > announced)
        {
            return Err(self.length_mismatch(length));
        }
        if length > self.reserved {
            self.grow(length, memory, deadlines).await?;
        }
        self.bytes.extend_from_slice(chunk);
        self.hash.update(chunk);
        if !self.is_image && length >= BEGINNING {
            self.recognise()?;
        }
        Ok(())
    }

    /// Stops at what is no image, and at one that will be too large: neither is loaded to its end.
    fn recognise(&mut self) -> Result<(), Fault> {
        ImageFormat::detect(&self.bytes).map_err(Fault::NoImage)?;
        self.is_image = true;
        match self.announced {
            Some(announced) if announced > self.limit as u64 => Err(Fault::TooLarge(self.limit)),
            _ => Ok(()),
        }
    }

    /// Exchanges the reservation for a larger one.
    ///
    /// What it has is given back first: downloads that waited for more while they hold something
    /// could wait for each other for ever. Meanwhile what has come is not counted, which is at most
    /// a quarter of what is waited for.
    async fn grow(
        &mut self,
        length: usize,
        memory: &MemoryBudget,
        deadlines: &mut Deadlines,
    ) -> Result<(), Fault> {
        let announced = self.announced.and_then(|bytes| usize::try_from(bytes).ok());
        let most = announced.unwrap_or(self.limit).clamp(length, self.limit);
        let more = (self.reserved * STEP).clamp(length, most);
        self.memory.shrink_to(0);
        let larger = deadlines.apart(memory.file(more as u64)).await;
        self.memory = larger.map_err(Fault::Memory)?;
        self.reserved = more;
        // Doubling step by step would take more than is reserved.
        self.bytes.reserve_exact(more - self.bytes.len());
        Ok(())
    }

    fn end(mut self) -> Result<(Received, Reservation), Fault> {
        if !self.is_image {
            self.recognise()?;
        }
        let length = self.bytes.len();
        if self
            .announced
            .is_some_and(|announced| announced != length as u64)
        {
            return Err(self.length_mismatch(length));
        }
        self.bytes.shrink_to_fit();
        self.memory.shrink_to(length as u64);
        let received = Received {
            bytes: self.bytes.into(),
            digest: self.hash.finalize().into(),
        };
        Ok((received, self.memory))
    }

    /// The connection ended before the body did.
    fn broken(&self, fault: Fault) -> Fault {
        match self.announced {
            Some(announced) if announced > self.bytes.len() as u64 => {
                self.length_mismatch(self.bytes.len())
            }
            _ => fault,
        }
    }

    fn length_mismatch(&self, received: usize) -> Fault {
        Fault::Length {
            announced: self.announced.unwrap_or(0),
            received: received as u64,
        }
    }
}

#[cfg(test)]
mod tests;
