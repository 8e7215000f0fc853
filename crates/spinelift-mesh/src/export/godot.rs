//! A scene of Godot 4 as text: a `Polygon2D`, or several below a `Node2D` where the mesh does not
//! hang together.

use super::name::plain;
use super::piece::Piece;
use super::{Sprite, rounded};
use std::fmt::{self, Write as _};

pub(super) fn scene(sprite: &Sprite<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_scene(&mut text, sprite);
    text
}

fn write_scene(text: &mut String, sprite: &Sprite<'_>) -> fmt::Result {
    let name = node_name(sprite.name);
    let texture = quoted(&format!("res://{}", plain(sprite.texture)));
    writeln!(text, "[gd_scene load_steps=2 format=3]\n")?;
    writeln!(
        text,
        "[ext_resource type=\"Texture2D\" path={texture} id=\"1\"]\n"
    )?;
    match &Piece::of(sprite.shape)[..] {
        [only] => {
            writeln!(text, "[node name={} type=\"Polygon2D\"]", quoted(&name))?;
            polygon(text, sprite, only)
        }
        pieces => {
            writeln!(text, "[node name={} type=\"Node2D\"]", quoted(&name))?;
            for (number, piece) in (1..).zip(pieces) {
                let name = quoted(&format!("{name}-{number}"));
                writeln!(text, "\n[node name={name} type=\"Polygon2D\" parent=\".\"]")?;
                polygon(text, sprite, piece)?;
            }
            Ok(())
        }
    }
}

/// Vertices and texture coordinates are pixels, y down; the offset puts the centre of the image at
/// the node.
fn polygon(text: &mut String, sprite: &Sprite<'_>, piece: &Piece) -> fmt::Result {
    let shape = sprite.shape;
    let points: Vec<String> = piece
        .vertices(shape)
        .map(|[x, y]| format!("{}, {}", rounded(x, 5), rounded(y, 5)))
        .collect();
    let points = points.join(", ");
    let half = |side: u32| -f64::from(side) / 2.0;
    writeln!(text, "texture = ExtResource(\"1\")")?;
    writeln!(
        text,
        "offset = Vector2({}, {})",
        half(shape.width()),
        half(shape.height())
    )?;
    writeln!(text, "polygon = PackedVector2Array({points})")?;
    writeln!(text, "uv = PackedVector2Array({points})")?;
    let triangles: Vec<String> = piece
        .triangles
        .iter()
        .map(|[a, b, c]| format!("PackedInt32Array({a}, {b}, {c})"))
        .collect();
    writeln!(text, "polygons = [{}]", triangles.join(", "))?;
    let inside = piece.sources.len() - piece.hull;
    writeln!(text, "internal_vertex_count = {inside}")
}

/// These characters mean something in the path of a node.
fn node_name(name: &str) -> String {
    plain(name).replace(['.', ':', '@', '/', '"', '%'], "_")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
