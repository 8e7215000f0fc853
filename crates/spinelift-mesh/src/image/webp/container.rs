//! The chunks of a WebP file: where the first picture's alpha is, if it has any.

use super::corrupt;
use super::filter::Filter;
use crate::error::ImageLoadError;

/// The still image, or the first frame of an animation.
#[derive(Debug)]
pub(super) struct Picture<'a> {
    /// Size of the image.
    pub(super) width: u32,
    pub(super) height: u32,
    /// The part of the image that is not empty.
    pub(super) frame: Frame,
    pub(super) alpha: Alpha<'a>,
    /// Where the colours are.
    pub(super) stream: Stream<'a>,
    /// Which pixels of the image have them: all, or those of the first frame.
    pub(super) place: Frame,
}

/// A rectangle of pixels within the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Frame {
    fn whole(width: u32, height: u32) -> Self {
        Frame {
            left: 0,
            top: 0,
            width,
            height,
        }
    }
}

/// Where the alpha of a frame is.
#[derive(Debug)]
pub(super) enum Alpha<'a> {
    Opaque,
    /// In the pixels of a lossless stream.
    Lossless(&'a [u8]),
    /// A byte for each pixel.
    Plane {
        filter: Filter,
        data: &'a [u8],
    },
    /// In the green of a lossless stream.
    CompressedPlane {
        filter: Filter,
        stream: &'a [u8],
    },
}

const TRUNCATED: ImageLoadError = ImageLoadError::Truncated { format: "WebP" };

/// Bytes of the header of the file, and of a frame of an animation before its chunks.
const FILE_HEADER: usize = 12;
const FRAME_HEADER: usize = 16;

impl<'a> Picture<'a> {
    /// Reads the headers of everything that matters for alpha.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, ImageLoadError> {
        if bytes.len() < declared_length(bytes) {
            return Err(TRUNCATED);
        }
        let mut chunks = Chunks(bytes.get(FILE_HEADER..).ok_or(TRUNCATED)?);
        let first = chunks.next().ok_or(TRUNCATED)?;
        if &first.kind == b"VP8X" {
            return Self::extended(first.data?, chunks);
        }
        let coded = Coded::read([first])?;
        let stream = coded.stream()?;
        let alpha = match stream {
            Stream::Lossless { data, has_alpha } if has_alpha => Alpha::Lossless(data),
            _ => Alpha::Opaque,
        };
        let (width, height) = coded.size;
        let frame = Frame::whole(width, height);
        Ok(Picture {
            width,
            height,
            frame,
            alpha,
            stream,
            place: frame,
        })
    }

    fn extended(features: &[u8], chunks: Chunks<'a>) -> Result<Self, ImageLoadError> {
        let flags = *features.first().ok_or(TRUNCATED)?;
        let (has_alpha, is_animated) = (flags & 0x10 != 0, flags & 0x02 != 0);
        let (width, height) = (u24(features, 4)? + 1, u24(features, 7)? + 1);
        let (frame, coded) = if is_animated {
            let data = first_frame(chunks)?;
            let frame = Frame {
                left: 2 * u24(data, 0)?,
                top: 2 * u24(data, 3)?,
                width: u24(data, 6)? + 1,
                height: u24(data, 9)? + 1,
            };
            let chunks = Chunks(data.get(FRAME_HEADER..).ok_or(TRUNCATED)?);
            (frame, Coded::read(chunks)?)
        } else {
            (Frame::whole(width, height), Coded::read(chunks)?)
        };
        if frame.left + frame.width > width || frame.top + frame.height > height {
            return Err(corrupt("a frame lies outside the image"));
        }
        let stream = coded.stream()?;
        if coded.size != (frame.width, frame.height) {
            return Err(corrupt("the sizes in its headers differ"));
        }
        let (alpha, shown) = match has_alpha {
            true => (coded.alpha(frame)?, frame),
            false => (Alpha::Opaque, Frame::whole(width, height)),
        };
        Ok(Picture {
            width,
            height,
            frame: shown,
            alpha,
            stream,
            place: frame,
        })
    }
}

/// The data of the first frame of an animation.
fn first_frame(mut chunks: Chunks<'_>) -> Result<&[u8], ImageLoadError> {
    chunks
        .find(|chunk| &chunk.kind == b"ANMF")
        .ok_or_else(|| corrupt("an animation without frames"))?
        .data
}

/// The length that the file's header gives.
fn declared_length(bytes: &[u8]) -> usize {
    let field = bytes.get(4..8).and_then(|field| field.try_into().ok());
    field.map_or(usize::MAX, |field| {
        (u32::from_le_bytes(field) as usize).saturating_add(8)
    })
}

fn u24(bytes: &[u8], at: usize) -> Result<u32, ImageLoadError> {
    match bytes.get(at..at + 3) {
        Some(&[a, b, c]) => Ok(u32::from_le_bytes([a, b, c, 0])),
        _ => Err(TRUNCATED),
    }
}

/// One chunk after the other.
struct Chunks<'a>(&'a [u8]);

struct Chunk<'a> {
    kind: [u8; 4],
    /// An error if the bytes end before the chunk does.
    data: Result<&'a [u8], ImageLoadError>,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let (head, rest) = self.0.split_first_chunk::<8>()?;
        let [a, b, c, d, length @ ..] = *head;
        let length = u32::from_le_bytes(length) as usize;
        let padded = length.saturating_add(length & 1);
        self.0 = rest.get(padded..).unwrap_or_default();
        Some(Chunk {
            kind: [a, b, c, d],
            data: rest.get(..length).ok_or(TRUNCATED),
        })
    }
}

/// What a frame is coded as.
#[derive(Default)]
struct Coded<'a> {
    stream: Option<Stream<'a>>,
    size: (u32, u32),
    /// The alpha chunk of a lossy one.
    alpha: Option<&'a [u8]>,
}

/// The pixels of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream<'a> {
    /// A VP8 key frame.
    Lossy(&'a [u8]),
    /// Behind its header.
    Lossless { data: &'a [u8], has_alpha: bool },
}

impl<'a> Coded<'a> {
    /// Of several chunks of a kind the first counts.
    fn read(chunks: impl IntoIterator<Item = Chunk<'a>>) -> Result<Self, ImageLoadError> {
        let mut coded = Coded::default();
        for chunk in chunks {
            match &chunk.kind {
                b"ALPH" if coded.alpha.is_none() => coded.alpha = Some(chunk.data?),
                b"VP8 " if coded.stream.is_none() => coded.set_lossy(chunk.data?)?,
                b"VP8L" if coded.stream.is_none() => coded.set_lossless(chunk.data?)?,
                _ => {}
            }
        }
        Ok(coded)
    }

    /// The header of a VP8 key frame.
    fn set_lossy(&mut self, data: &'a [u8]) -> Result<(), ImageLoadError> {
        let Some((&[tag, _, _, magic @ .., w0, w1, h0, h1], _)) = data.split_first_chunk::<10>()
        else {
            return Err(TRUNCATED);
        };
        if tag & 1 != 0 || magic != [0x9d, 0x01, 0x2a] {
            return Err(corrupt("the lossy image does not begin with a key frame"));
        }
        let size = |bytes| u32::from(u16::from_le_bytes(bytes) & 0x3fff);
        self.size = (size([w0, w1]), size([h0, h1]));
        self.stream = Some(Stream::Lossy(data));
        Ok(())
    }

    fn set_lossless(&mut self, data: &'a [u8]) -> Result<(), ImageLoadError> {
        let Some((&[signature, header @ ..], rest)) = data.split_first_chunk::<5>() else {
            return Err(TRUNCATED);
        };
        let header = u32::from_le_bytes(header);
        if signature != 0x2f || header >> 29 != 0 {
            return Err(corrupt("the lossless image has an unknown signature"));
        }
        self.size = ((header & 0x3fff) + 1, (header >> 14 & 0x3fff) + 1);
        self.stream = Some(Stream::Lossless {
            data: rest,
            has_alpha: header >> 28 & 1 != 0,
        });
        Ok(())
    }

    fn stream(&self) -> Result<Stream<'a>, ImageLoadError> {
        self.stream
            .ok_or_else(|| corrupt("there is no picture in it"))
    }

    fn alpha(&self, frame: Frame) -> Result<Alpha<'a>, ImageLoadError> {
        match (&self.stream, self.alpha) {
            (Some(Stream::Lossless { data, .. }), _) => Ok(Alpha::Lossless(data)),
            (_, Some(chunk)) => alpha_plane(chunk, frame),
            (_, None) => Ok(Alpha::Opaque),
        }
    }
}

/// What an alpha chunk says in its first byte. Whether its levels were reduced before (bits 4 and
/// 5) changes nothing.
fn alpha_plane(chunk: &[u8], frame: Frame) -> Result<Alpha<'_>, ImageLoadError> {
    let (&how, data) = chunk.split_first().ok_or(TRUNCATED)?;
    if how >> 4 & 3 > 1 {
        return Err(corrupt("the alpha was preprocessed in an unknown way"));
    }
    let filter = match how >> 2 & 3 {
        0 => Filter::None,
        1 => Filter::Horizontal,
        2 => Filter::Vertical,
        _ => Filter::Gradient,
    };
    match how & 3 {
        0 => {
            let pixels = frame.width as usize * frame.height as usize;
            let data = data.get(..pixels).ok_or(TRUNCATED)?;
            Ok(Alpha::Plane { filter, data })
        }
        1 => Ok(Alpha::CompressedPlane {
            filter,
            stream: data,
        }),
        _ => Err(corrupt("the alpha is compressed in an unknown way")),
    }
}
