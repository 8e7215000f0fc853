//! WebP against an independent decoder.

use sha2::{Digest, Sha256};
use spinelift_mesh::error::{ImageLoadError, Interrupted};
use spinelift_mesh::image::{AlphaSink, ImageFormat, ImageHeader, Pixels, decode_alpha};
use spinelift_mesh::{Limits, MeshParameters, memory};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

fn committed(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/images")
        .join(folder);
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn alpha(bytes: &[u8]) -> Vec<u8> {
    let limits = Limits::default();
    let header = ImageHeader::read(bytes, &limits).unwrap();
    let mut plane = Vec::new();
    decode_alpha(bytes, &header, &limits, &mut plane as &mut dyn AlphaSink).unwrap();
    plane
}

fn reference(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).unwrap();
    let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
    decoder.read_image(&mut pixels).unwrap();
    match decoder.has_alpha() {
        true => pixels.chunks_exact(4).map(|pixel| pixel[3]).collect(),
        false => vec![u8::MAX; pixels.len() / 3],
    }
}

#[test]
fn alpha_is_what_an_independent_decoder_finds() {
    let mut count = 0;
    for path in [committed("formats"), committed("large"), committed("webp")].concat() {
        let bytes = fs::read(&path).unwrap();
        if ImageFormat::detect(&bytes) != Ok(ImageFormat::WebP) {
            continue;
        }
        let (found, expected) = (alpha(&bytes), reference(&bytes));
        let different = found.iter().zip(&expected).position(|(a, b)| a != b);
        assert_eq!(found.len(), expected.len(), "{path:?}");
        assert_eq!(different, None, "{path:?}");
        count += 1;
    }
    assert!(count >= 30, "{count} files");
}

/// Where anything is to be seen.
#[test]
fn colours_are_what_an_independent_decoder_finds() {
    let mut count = 0;
    for path in [committed("formats"), committed("large"), committed("webp")].concat() {
        let bytes = fs::read(&path).unwrap();
        if ImageFormat::detect(&bytes) != Ok(ImageFormat::WebP) {
            continue;
        }
        let mut decoder = image_webp::WebPDecoder::new(Cursor::new(&bytes)).unwrap();
        let mut expected = vec![0; decoder.output_buffer_size().unwrap()];
        decoder.read_image(&mut expected).unwrap();
        let samples = if decoder.has_alpha() { 4 } else { 3 };
        let found = Pixels::decode(&bytes, &Limits::default()).unwrap().rgba;
        let pairs = found.as_chunks::<4>().0.iter();
        let different = pairs
            .zip(expected.chunks_exact(samples))
            .position(|(found, expected)| found[3] > 0 && found[..3] != expected[..3]);
        assert_eq!(found.len() / 4, expected.len() / samples, "{path:?}");
        assert_eq!(different, None, "{path:?}");
        count += 1;
    }
    assert!(count >= 30, "{count} files");
}

/// The hashes were made with libwebp.
#[test]
fn alpha_is_what_the_reference_implementation_finds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images/webp");
    let hashes = fs::read_to_string(folder.join("alpha.sha256")).unwrap();
    for line in hashes.lines() {
        let (expected, name) = line.split_once("  ").unwrap();
        let found = Sha256::digest(alpha(&fs::read(folder.join(name)).unwrap()));
        let found: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(hashes.lines().count(), 24);
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = [kind, &(data.len() as u32).to_le_bytes()[..], data].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}

fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
    chunk(b"RIFF", &[b"WEBP".to_vec(), chunks.concat()].concat())
}

fn features(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let u24 = |value: u32| value.to_le_bytes()[..3].to_vec();
    let fields = [vec![flags, 0, 0, 0], u24(width - 1), u24(height - 1)];
    chunk(b"VP8X", &fields.concat())
}

/// The header of a lossy picture, and none of its colours.
fn lossy(width: u16, height: u16) -> Vec<u8> {
    let [size_x, size_y] = [width, height].map(u16::to_le_bytes);
    let start = [0x10, 0, 0, 0x9d, 0x01, 0x2a];
    chunk(b"VP8 ", &[&start[..], &size_x, &size_y].concat())
}

const ALPHA: u8 = 0x10;

fn failure(bytes: &[u8]) -> ImageLoadError {
    let limits = Limits::default();
    let header = match ImageHeader::read(bytes, &limits) {
        Ok(header) => header,
        Err(error) => return error,
    };
    match decode_alpha(bytes, &header, &limits, &mut Vec::new()) {
        Err(Interrupted::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn colours_are_not_needed() {
    let plane = chunk(b"ALPH", &[0, 1, 2, 3, 4, 5, 6]);
    let transparent = file(&[features(ALPHA, 3, 2), plane.clone(), lossy(3, 2)]);
    assert_eq!(alpha(&transparent), [1, 2, 3, 4, 5, 6]);
    for opaque in [
        file(&[lossy(3, 2)]),
        file(&[features(0, 3, 2), plane, lossy(3, 2)]),
        file(&[features(ALPHA, 3, 2), lossy(3, 2)]),
    ] {
        assert_eq!(alpha(&opaque), [255; 6]);
    }
}

#[test]
fn damage_to_container_or_alpha_is_an_error() {
    let plane = |bytes: &[u8]| chunk(b"ALPH", bytes);
    let with = |alpha: Vec<u8>, lossy| file(&[features(ALPHA, 3, 2), alpha, lossy]);
    let whole = [0, 1, 2, 3, 4, 5, 6];
    let truncated = ImageLoadError::Truncated { format: "WebP" };
    assert_eq!(failure(&with(plane(&whole[..6]), lossy(3, 2))), truncated);
    assert_eq!(failure(&with(plane(&[]), lossy(3, 2))), truncated);
    assert_eq!(failure(&with(plane(&[1]), lossy(3, 2))), truncated);
    let corrupt = |bytes: Vec<u8>, word: &str| {
        let text = failure(&bytes).to_string();
        assert!(text.contains(word), "{text}: {word}");
    };
    corrupt(with(plane(&whole), lossy(3, 3)), "sizes");
    corrupt(file(&[features(ALPHA, 3, 2), plane(&whole)]), "no picture");
    corrupt(
        with(plane(&[2, 1, 2, 3, 4, 5, 6]), lossy(3, 2)),
        "compressed",
    );
    corrupt(
        with(plane(&[32, 1, 2, 3, 4, 5, 6]), lossy(3, 2)),
        "preprocessed",
    );
    let mut no_key_frame = lossy(3, 2);
    no_key_frame[8] |= 1;
    corrupt(with(plane(&whole), no_key_frame), "key frame");
    let mut cut_off = with(plane(&whole), lossy(3, 2));
    let length = cut_off.len();
    cut_off[length - 14] += 1;
    assert_eq!(failure(&cut_off), truncated);
}

/// Bits, the least significant of a byte first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, count: u32) -> &mut Self {
        self.0.extend((0..count).map(|bit| value >> bit & 1 == 1));
        self
    }

    /// A prefix code of one symbol.
    fn put_only(&mut self, symbol: u32) -> &mut Self {
        self.put(0b101, 3).put(symbol, 8)
    }

    /// A prefix code of 2048 symbols of 11 bits, in 64 bits.
    fn put_large_code(&mut self) -> &mut Self {
        self.put(0, 1).put(15 - 4, 4);
        (0..14).for_each(|_| {
            self.put(0, 3);
        });
        self.put(1, 3).put(1, 1).put(5, 3).put(2046, 12)
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            bits.iter()
                .rev()
                .fold(0, |byte, &bit| byte << 1 | u8::from(bit))
        };
        self.0.chunks(8).map(byte).collect()
    }
}

/// A lossless stream whose squares all choose the last of `groups` groups of codes, each of which
/// takes a hundred bits and asks for tables of tens of kilobytes.
fn codes(groups: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    // No transform; a cache of 2048 colours; codes by squares, all of the group of this number.
    bits.put(0, 1).put(1, 1).put(11, 4).put(1, 1).put(0, 3);
    let last = groups - 1;
    bits.put(0, 1).put_only(last & 0xff).put_only(last >> 8);
    bits.put_only(0).put_only(0).put_only(0);
    for _ in 0..groups {
        bits.put_large_code();
        (0..4).for_each(|_| {
            bits.put_only(0);
        });
    }
    // Greens of the symbol 0.
    (0..16 * 16).for_each(|_| {
        bits.put(0, 11);
    });
    bits.bytes()
}

fn lossless(width: u32, height: u32, stream: &[u8]) -> Vec<u8> {
    let header = (width - 1) | (height - 1) << 14 | 1 << 28;
    let data = [&[0x2f], &header.to_le_bytes()[..], stream].concat();
    file(&[chunk(b"VP8L", &data)])
}

#[test]
fn codes_beyond_what_encoders_write_are_refused_before_they_take_memory() {
    let few = lossless(16, 16, &codes(8));
    assert_eq!(alpha(&few), reference(&few), "the file is as it should be");
    let limits = Limits::default();
    for (width, height) in [(16, 16), (512, 512), (4096, 4096)] {
        for groups in [4000, 65_536] {
            let stream = codes(groups);
            let in_alpha = [&[1], &stream[..]].concat();
            let in_alpha = [
                features(ALPHA, width, height),
                chunk(b"ALPH", &in_alpha),
                lossy(width as u16, height as u16),
            ];
            for bytes in [lossless(width, height, &stream), file(&in_alpha)] {
                let header = ImageHeader::read(&bytes, &limits).unwrap();
                let estimate = memory::peak(&header, &MeshParameters::default(), &limits);
                let mut error = None;
                let run = || error = Some(failure(&bytes));
                let peak = allocation_counter::measure(run).bytes_max;
                assert!(peak <= header.decoder_memory && peak <= estimate, "{peak}");
                let text = error.unwrap().to_string();
                assert!(text.contains("entropy codes"), "{width}, {groups}: {text}");
            }
            // Without alpha nothing of it is decoded, until the colours are wanted.
            let mut opaque = lossless(width, height, &stream);
            opaque[24] &= !0x10;
            assert!(alpha(&opaque).iter().all(|alpha| *alpha == u8::MAX));
            let header = ImageHeader::read(&opaque, &limits).unwrap();
            let run = || {
                let error = Pixels::decode(&opaque, &limits).unwrap_err().to_string();
                assert!(
                    error.contains("entropy codes"),
                    "{width}, {groups}: {error}"
                );
            };
            let peak = allocation_counter::measure(run).bytes_max;
            assert!(peak <= memory::export(Some(&header), 0), "{peak}");
        }
    }
}

#[test]
fn the_limit_of_memory_holds_for_codes_too() {
    let bytes = lossless(16, 16, &codes(4000));
    assert!(failure(&bytes).to_string().contains("entropy codes"));
    for max_decoder_memory in [1000, 100_000] {
        let limits = Limits {
            max_decoder_memory,
            ..Limits::default()
        };
        let header = ImageHeader::read(&bytes, &limits).unwrap();
        let result = decode_alpha(&bytes, &header, &limits, &mut Vec::new());
        let error = ImageLoadError::DecoderMemory {
            limit: max_decoder_memory,
        };
        assert_eq!(result, Err(Interrupted::Failed(error)));
    }
}

#[test]
fn damaged_bytes_give_an_error_or_a_whole_plane() {
    let limits = Limits {
        max_image_pixels: 1 << 20,
        ..Limits::default()
    };
    let mut state = 3u64;
    let mut random = |range: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % range
    };
    let (mut whole, mut refused) = (0, 0);
    for path in committed("webp") {
        let bytes = fs::read(&path).unwrap();
        for _ in 0..200 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random(3) {
                // Most of what can go wrong stands at the beginning.
                let range = if random(2) == 0 { 96 } else { bytes.len() };
                damaged[random(range.min(bytes.len()))] ^= 1 << random(8);
            }
            let Ok(header) = ImageHeader::read(&damaged, &limits) else {
                refused += 1;
                continue;
            };
            let mut plane = Vec::new();
            match decode_alpha(&damaged, &header, &limits, &mut plane) {
                Ok(()) => {
                    let pixels = header.width as usize * header.height as usize;
                    assert_eq!(plane.len(), pixels, "{path:?}");
                    whole += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(
        whole > 500 && refused > 500,
        "{whole} whole, {refused} refused"
    );
}
