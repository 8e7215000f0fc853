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
        material_file(sprite.texture)
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

/// Called like the image, since `tree.png` and `tree.webp` are two. So are `a b.png` and `a_b.png`:
/// what cannot be in a name of one word is written by its bytes, as in `a=20b.png.mtl`, which no
/// other image has. A `%` would be taken for a space where models are fetched by URL.
pub(super) fn material_file(texture: &str) -> String {
    let mut name = String::with_capacity(texture.len() + 4);
    for c in texture.chars() {
        if c.is_whitespace() || c.is_control() || matches!(c, '/' | '\\' | ':' | '=') {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(name, "={byte:02X}");
            }
        } else {
            name.push(c);
        }
    }
    name + ".mtl"
}

/// Spaces end a name.
fn one_word(name: &str) -> String {
    plain(name).replace(char::is_whitespace, "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_has_a_material_file_of_its_own() {
        for (texture, file) in [
            ("a_b.png", "a_b.png.mtl"),
            ("a b.png", "a=20b.png.mtl"),
            (" a_b.png", "=20a_b.png.mtl"),
            ("a\u{a0}b.png", "a=C2=A0b.png.mtl"),
            ("a=20b.png", "a=3D20b.png.mtl"),
            ("a/b.png", "a=2Fb.png.mtl"),
            ("\u{e4}.png", "\u{e4}.png.mtl"),
        ] {
            assert_eq!(material_file(texture), file);
        }
    }
}
