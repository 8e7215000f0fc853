//! One try at loading an image.

use super::{SourceError, SourceLimits};
use crate::address::Outbound;
use crate::redacted::RedactedUrl;
use reqwest::Response;
use reqwest::header::{ACCEPT, HeaderValue, LOCATION};
use url::Url;

const MAX_REDIRECTS: usize = 3;

/// Follows redirects hop by hop, so that each address is checked like the first.
pub(super) async fn fetch(
    outbound: &Outbound,
    limits: &SourceLimits,
    url: &RedactedUrl,
) -> Result<Vec<u8>, SourceError> {
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let response = open(outbound, limits, &url).await?;
        let status = response.status();
        // Not every 2xx: 204 and 205 have no body, 206 has a part of one that nobody asked for.
        if matches!(status.as_u16(), 200 | 203) {
            return body(response, limits, &url).await;
        }
        match redirect(&response, &url) {
            Some(next) => url = next?,
            None => return Err(SourceError::status(&url, status.as_u16())),
        }
    }
    Err(SourceError::too_many_redirects(&url, MAX_REDIRECTS))
}

async fn open(
    outbound: &Outbound,
    limits: &SourceLimits,
    url: &RedactedUrl,
) -> Result<Response, SourceError> {
    let request = outbound
        .get(url.reveal())
        .map_err(|refused| SourceError::refused(url, &refused))?
        .header(
            ACCEPT,
            HeaderValue::from_static("image/png, image/webp, image/jpeg, */*;q=0.1"),
        );
    match tokio::time::timeout(limits.first_byte, request.send()).await {
        Ok(response) => response.map_err(|error| SourceError::transport(url, &error)),
        Err(_) => Err(SourceError::timeout(url, limits.first_byte)),
    }
}

/// Where a redirect leads, if the answer is one.
fn redirect(response: &Response, from: &RedactedUrl) -> Option<Result<RedactedUrl, SourceError>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let next = from.reveal().join(location).ok()?;
    Some(match next.scheme() {
        "http" | "https" => Ok(RedactedUrl::new(without_fragment(next))),
        _ => Err(SourceError::bad_redirect(from, next.scheme())),
    })
}

fn without_fragment(mut url: Url) -> Url {
    url.set_fragment(None);
    url
}

/// Counts the bytes as they come; what the server says of their number is a hint, which may
/// refuse an image early but never admit one.
async fn body(
    mut response: Response,
    limits: &SourceLimits,
    url: &RedactedUrl,
) -> Result<Vec<u8>, SourceError> {
    let too_large = || SourceError::too_large(url, limits.bytes);
    let announced = response.content_length().unwrap_or(0);
    if announced > limits.bytes as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| SourceError::transport(url, &error))?
    {
        if bytes.len() + chunk.len() > limits.bytes {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
