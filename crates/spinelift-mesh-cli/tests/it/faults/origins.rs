//! Servers of images that misbehave, a hundred times each.

use super::peer::{Exchange, Peer};
use super::{Home, comes_back};
use crate::sprites::star;
use flate2::Crc;
use flate2::write::{GzEncoder, ZlibEncoder};
use std::io::Write;
use std::thread;
use std::time::Duration;

const JOBS: usize = 100;

/// What a bomb is of.
const BOMB: usize = 100 << 20;

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(name);
    crc.update(data);
    let length = u32::try_from(data.len()).unwrap();
    let mut chunk = length.to_be_bytes().to_vec();
    chunk.extend_from_slice(name);
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(&crc.sum().to_be_bytes());
    chunk
}

fn deflated(length: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; length]).unwrap();
    encoder.finish().unwrap()
}

/// A square RGBA image with these chunks.
fn png(size: u32, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut header = [size.to_be_bytes(), size.to_be_bytes()].concat();
    header.extend_from_slice(&[8, 6, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.extend(chunk(b"IHDR", &header));
    for (name, data) in chunks {
        png.extend(chunk(name, data));
    }
    png.extend(chunk(b"IEND", b""));
    png
}

/// Drips for ever.
fn drip(exchange: &mut Exchange) {
    exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n");
    while exchange.send(b"x") {
        thread::sleep(Duration::from_millis(50));
    }
}

/// Says one length, and sends another.
fn lie(exchange: &mut Exchange, announced: usize, body: &[u8]) {
    let head =
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {announced}\r\n\r\n");
    exchange.send(head.as_bytes());
    exchange.send(body);
}

struct Bombs {
    /// A small image whose pixels inflate to far more than it has.
    pixels: Vec<u8>,
    /// A small image with a comment that inflates.
    comment: Vec<u8>,
    /// An image of which only the header is small.
    huge: Vec<u8>,
    /// A small image that would be many, if it were inflated.
    gzip: Vec<u8>,
}

impl Bombs {
    fn new() -> Self {
        let bomb = deflated(BOMB);
        let comment = [b"Comment\0\0".as_slice(), &bomb].concat();
        let pixels = deflated(64 * (64 * 4 + 1));
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![0; BOMB]).unwrap();
        Bombs {
            pixels: png(64, &[(b"IDAT", &bomb)]),
            comment: png(64, &[(b"zTXt", &comment), (b"IDAT", &pixels)]),
            huge: png(30_000, &[(b"IDAT", &bomb)]),
            gzip: gzip.finish().unwrap(),
        }
    }
}

#[test]
fn no_origin_costs_more_than_its_jobs() {
    let (bombs, image) = (Bombs::new(), star(64, 5));
    let images = Peer::start(move |exchange| match exchange.path.as_str() {
        "/drips" => drip(exchange),
        "/short" => lie(exchange, image.len() + 1000, &image),
        "/long" => lie(exchange, image.len() - 10, &image),
        "/gzip" => exchange.answer(200, "content-encoding: gzip\r\n", &bombs.gzip),
        "/pixels" => exchange.answer(200, "", &bombs.pixels),
        "/comment" => exchange.answer(200, "", &bombs.comment),
        "/huge" => exchange.answer(200, "", &bombs.huge),
        _ => exchange.answer(200, "", &image),
    });
    let home = Home::new();
    let server = home.start(&[
        ("IMAGE_TRIES", "1"),
        ("IMAGE_TIMEOUT", "1"),
        ("MAX_DOWNLOADS_PER_HOST", "64"),
        // Each is to be looked at.
        ("RESULT_CACHE_SIZE", "0"),
    ]);
    // The code, and the reason where there is one.
    let load = "IMAGE_LOAD_FAILED";
    let cases = [
        ("drips", load, "timeout"),
        ("short", load, "wrong_length"),
        ("long", load, ""),
        ("gzip", load, "content_encoding"),
        ("huge", load, ""),
        // Of what inflates no more is inflated than the image has, which shows nothing.
        ("pixels", "CONTOUR_EXTRACTION_FAILED", "nothing_visible"),
        ("comment", "CONTOUR_EXTRACTION_FAILED", "nothing_visible"),
        ("star", "", ""),
    ];
    comes_back(&server, |round| {
        let id = |name: &str, n| format!("{round}-{name}-{n}");
        for n in 0..JOBS {
            for (name, ..) in cases {
                server.accept(&id(name, n), &images.url(&format!("/{name}")), "");
            }
        }
        for n in 0..JOBS {
            for (name, code, reason) in cases {
                let status = server.ended(&id(name, n));
                let error = &status["error"];
                assert_eq!(
                    error["code"].as_str().unwrap_or_default(),
                    code,
                    "{name}: {status}"
                );
                if !reason.is_empty() {
                    assert_eq!(error["details"]["reason"], reason, "{name}: {status}");
                }
                if name == "huge" {
                    let message = error["message"].as_str().unwrap();
                    assert!(message.contains("30000"), "{status}");
                }
            }
        }
        server.is_alive();
    });
}
