//! Wavefront OBJ: the mesh in the plane z = 0, a unit for each pixel, centred, y up.

use super::name::plain;
use super::{Sprite, rounded};
use std::fmt::Write as _;

/// Faces are counter-clockwise, so that they look towards positive z.
pub(super) fn object(sprite: &Sprite<'_>) -> String {
    let (shape, name) = (sprite.shape, one_word(sprite.name));
    let (width, height) = (f64::from(shape.width()), f64::from(shape.height()));
    let mut text = format!(
        "mtllib {}\no {name}\nusemtl {name}\n",
        material_file(sprite)
    );
    // Writing to a string cannot fail.
    for &[x, y] in shape.vertices() {
        let (x, y) = (rounded(x - width / 2.0, 5), rounded(height / 2.0 - y, 5));
        let _ = writeln!(text, "v {x} {y} 0");
    }
    for &[x, y] in shape.vertices() {
        let (u, v) = (rounded(x / width, 7), rounded(1.0 - y / height, 7));
        let _ = writeln!(text, "vt {u} {v}");
    }
    for corners in shape.triangles() {
        let [a, b, c] = corners.map(|vertex| vertex + 1);
        let _ = writeln!(text, "f {a}/{a} {c}/{c} {b}/{b}");
    }
    text
}

/// The image as colour and opacity.
pub(super) fn material(sprite: &Sprite<'_>) -> String {
    let (name, mut texture) = (one_word(sprite.name), plain(sprite.texture));
    if texture.starts_with('-') {
        // It would be an option.
        texture.insert_str(0, "./");
    }
    format!("newmtl {name}\nKd 1 1 1\nillum 0\nmap_Kd {texture}\nmap_d {texture}\n")
}

/// Called like the image, since `tree.png` and `tree.webp` are two.
pub(super) fn material_file(sprite: &Sprite<'_>) -> String {
    format!("{}.mtl", one_word(sprite.texture).replace('/', "_"))
}

/// Spaces end a name.
fn one_word(name: &str) -> String {
    plain(name).replace(char::is_whitespace, "_")
}
