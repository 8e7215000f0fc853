//! What is measured: a folder of sprites, and large drawings that are hard in one way each.

use std::path::PathBuf;

const SIZE: usize = 4096;

pub(crate) struct Sprite {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

/// An alpha plane.
pub(crate) struct Alpha {
    pub(crate) name: String,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) plane: Vec<u8>,
}

impl Alpha {
    /// As an RGBA PNG, the colour a little noisy so that decoding is no special case.
    pub(crate) fn png(&self) -> Vec<u8> {
        let mut random = Random(9);
        let pixels: Vec<u8> = self
            .plane
            .iter()
            .enumerate()
            .flat_map(|(index, &alpha)| {
                let shade = if alpha == 0 {
                    0
                } else {
                    (index / 97) as u8 ^ (random.next() >> 6) as u8 & 3
                };
                [shade, shade / 2, 255 - shade, alpha]
            })
            .collect();
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&pixels));
        assert!(written.is_ok(), "writing to memory");
        bytes
    }
}

pub(crate) fn sprites() -> Vec<Sprite> {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/samples");
    let root =
        std::env::var_os("SPINELIFT_BENCH_SPRITES").map_or_else(|| samples.into(), PathBuf::from);
    let mut folders = vec![root];
    let mut paths = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("png") => paths.push(path),
                _ => {}
            }
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        std::fs::read(&path)
            .ok()
            .map(|bytes| Sprite { path, bytes })
    };
    paths.into_iter().filter_map(read).collect()
}

pub(crate) fn large() -> Vec<Alpha> {
    let drawing = |name: &str, alpha: &mut dyn FnMut(usize, usize) -> u8| Alpha {
        name: name.into(),
        width: SIZE,
        height: SIZE,
        plane: (0..SIZE * SIZE)
            .map(|index| alpha(index % SIZE, index / SIZE))
            .collect(),
    };
    let mut random = Random(1);
    let mut noise = |percent: u64| {
        if random.next() % 100 < percent {
            255
        } else {
            0
        }
    };
    vec![
        drawing("blob", &mut |x, y| {
            let (dx, dy) = (x as f64 - 2048.0, y as f64 - 2048.0);
            let edge = 1700.0 + 150.0 * (dy.atan2(dx) * 9.0).sin();
            ((edge - dx.hypot(dy)) * 16.0 + 128.0).clamp(0.0, 255.0) as u8
        }),
        // 116,281 squares of 6 × 6 pixels.
        drawing("islands", &mut |x, y| {
            if x % 12 < 6 && y % 12 < 6 { 255 } else { 0 }
        }),
        drawing("noise 22 %", &mut |_, _| noise(22)),
        drawing("noise 50 %", &mut |_, _| noise(50)),
        drawing("spiral", &mut |x, y| {
            let (dx, dy) = (x as f64 - 2048.0, y as f64 - 2048.0);
            let turn = dx.hypot(dy) / 24.0 - dy.atan2(dx) / std::f64::consts::TAU;
            if turn.rem_euclid(1.0) < 0.5 && dx.hypot(dy) < 2040.0 {
                255
            } else {
                0
            }
        }),
    ]
}

/// Knuth's linear congruential generator: the same images everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        self.0 >> 33
    }
}
