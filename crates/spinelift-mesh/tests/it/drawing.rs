//! PNG files made on the spot.

/// Encodes samples of eight bits.
pub(crate) fn png(width: u32, height: u32, color: png::ColorType, samples: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(samples)
        .unwrap();
    bytes
}

/// Encodes a square of RGBA, interlaced.
pub(crate) fn interlaced(side: usize, pixels: &[u8]) -> Vec<u8> {
    use flate2::{Compression, Crc, write::ZlibEncoder};
    use std::io::Write;
    let mut rows = ZlibEncoder::new(Vec::new(), Compression::fast());
    let passes = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ];
    for (left, top, across, down) in passes {
        for y in (top..side).step_by(down) {
            rows.write_all(&[0]).unwrap();
            for x in (left..side).step_by(across) {
                let at = 4 * (y * side + x);
                rows.write_all(&pixels[at..at + 4]).unwrap();
            }
        }
    }
    let size = (side as u32).to_be_bytes();
    let header = [&size[..], &size, &[8, 6, 0, 0, 1]].concat();
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [
        (b"IHDR", header),
        (b"IDAT", rows.finish().unwrap()),
        (b"IEND", Vec::new()),
    ] {
        let mut crc = Crc::new();
        crc.update(kind);
        crc.update(&data);
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(kind);
        bytes.extend(&data);
        bytes.extend(crc.sum().to_be_bytes());
    }
    bytes
}
