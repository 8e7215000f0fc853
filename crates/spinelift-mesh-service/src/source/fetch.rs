//! One try at loading an image.

use super::body::{self, Received};
use super::cache::{Kept, SourceCache};
use super::deadline::Deadlines;
use super::error::Fault;
use super::object::Buckets;
use super::retry::retry_after;
use super::{Image, SourceError};
use crate::address::Outbound;
use crate::memory::MemoryBudget;
use crate::redacted::RedactedUrl;
use crate::request::MAX_URL;
use reqwest::Response;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, LOCATION};
use url::Url;

const MAX_REDIRECTS: usize = 3;

/// What a try at loading an image takes.
pub(super) struct Fetch<'a> {
    pub(super) outbound: &'a Outbound,
    pub(super) buckets: &'a Buckets,
    pub(super) cache: &'a SourceCache,
    pub(super) memory: &'a MemoryBudget,
    /// Most bytes of an image.
    pub(super) limit: usize,
}

impl Fetch<'_> {
    /// Follows redirects hop by hop, so that each address is checked like the first.
    pub(super) async fn run(
        &self,
        url: &RedactedUrl,
        deadlines: &mut Deadlines,
    ) -> Result<Image, SourceError> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            match self.hop(&url, deadlines).await {
                Ok(Hop::Image(image)) => return Ok(image),
                Ok(Hop::Redirect(next)) => url = next,
                Err(fault) => return Err(SourceError::new(&url, fault)),
            }
        }
        let fault = Fault::TooManyRedirects(MAX_REDIRECTS);
        Err(SourceError::new(&url, fault))
    }

    async fn hop(&self, url: &RedactedUrl, deadlines: &mut Deadlines) -> Result<Hop, Fault> {
        if url.reveal().scheme() == "s3" {
            return self.object(url, deadlines).await.map(Hop::Image);
        }
        let kept = self.cache.get(url.reveal());
        let response = self.open(url, kept.as_ref(), deadlines).await?;
        let status = response.status().as_u16();
        match (status, kept) {
            // Not every 2xx: 204 and 205 have no body, 206 has a part of one that nobody asked for.
            (200 | 203, _) => self.receive(url, response, deadlines).await,
            (304, Some(kept)) => {
                self.cache.review(url.reveal(), response.headers());
                self.reuse(kept.image, deadlines).await.map(Hop::Image)
            }
            _ => match redirect(&response, url) {
                Some(next) => next.map(Hop::Redirect),
                None => Err(Fault::Status {
                    status,
                    retry_after: retry_after(&response),
                }),
            },
        }
    }

    async fn open(
        &self,
        url: &RedactedUrl,
        kept: Option<&Kept>,
        deadlines: &Deadlines,
    ) -> Result<Response, Fault> {
        let images = HeaderValue::from_static("image/png, image/webp, image/jpeg, */*;q=0.1");
        let request = self
            .outbound
            .get(url.reveal())
            .map_err(Fault::Refused)?
            .header(ACCEPT, images)
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let request = match kept {
            Some(kept) => kept.ask(request),
            None => request,
        };
        let response = deadlines.head(request.send()).await.map_err(Fault::Late)?;
        response.map_err(|error| Fault::transport(&error))
    }

    async fn receive(
        &self,
        url: &RedactedUrl,
        response: Response,
        deadlines: &mut Deadlines,
    ) -> Result<Hop, Fault> {
        refuse_encoding(&response)?;
        let headers = response.headers().clone();
        let (announced, chunks) = (body::announced(&response), body::chunks(response));
        let (image, memory) =
            body::receive(chunks, announced, self.limit, self.memory, deadlines).await?;
        self.cache.keep(url.reveal(), &headers, &image);
        Ok(Hop::Image(Image::new(image, memory)))
    }

    /// Takes a kept image. It is counted as one that was loaded: the cache may let go of it while
    /// it is in use.
    pub(super) async fn reuse(
        &self,
        image: Received,
        deadlines: &mut Deadlines,
    ) -> Result<Image, Fault> {
        let memory = self.memory.file(image.bytes.len() as u64);
        let memory = deadlines.apart(memory).await.map_err(Fault::Memory)?;
        Ok(Image::new(image, memory))
    }
}

/// Where one request led.
enum Hop {
    Image(Image),
    Redirect(RedactedUrl),
}

/// Images are compressed already. What is compressed again was not asked for, and may be a
/// thousand times as large as it looks.
fn refuse_encoding(response: &Response) -> Result<(), Fault> {
    for value in response.headers().get_all(CONTENT_ENCODING) {
        if !value.as_bytes().eq_ignore_ascii_case(b"identity") && !value.is_empty() {
            let shown = String::from_utf8_lossy(value.as_bytes());
            return Err(Fault::Encoded(shown.chars().take(40).collect()));
        }
    }
    Ok(())
}

/// Where a redirect leads, if the answer is one.
fn redirect(response: &Response, from: &RedactedUrl) -> Option<Result<RedactedUrl, Fault>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?;
    // A head may be hundreds of kilobytes long, and where it leads is told, logged and stored.
    if location.len() > MAX_URL {
        return Some(Err(Fault::LongRedirect));
    }
    let next = from.reveal().join(location.to_str().ok()?).ok()?;
    if next.as_str().len() > MAX_URL {
        return Some(Err(Fault::LongRedirect));
    }
    Some(match next.scheme() {
        "http" | "https" => Ok(RedactedUrl::new(without_fragment(next))),
        scheme => Err(Fault::BadRedirect(scheme.to_owned())),
    })
}

fn without_fragment(mut url: Url) -> Url {
    url.set_fragment(None);
    url
}
