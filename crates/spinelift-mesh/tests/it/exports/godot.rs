//! Scenes of Godot, read by a grammar of its resource format.

use super::{apart, assert_near, mesh_of, placed, sample, sprite};
use spinelift_mesh::export::{Format, write};
use spinelift_mesh::{Limits, Shape};
use std::collections::HashMap;
use tree_sitter::{Node, Parser, Tree};

struct Scene {
    text: String,
    tree: Tree,
}

/// A section's attributes and properties, as text.
#[derive(Debug, Default)]
struct Section {
    kind: String,
    attributes: HashMap<String, String>,
    properties: HashMap<String, String>,
}

impl Scene {
    fn of(name: &str, shape: &Shape) -> Self {
        let bytes = write(
            Format::Godot,
            &sprite(name, shape),
            None,
            &Limits::default(),
        )
        .unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let mut parser = Parser::new();
        let language = tree_sitter_godot_resource::LANGUAGE;
        parser.set_language(&language.into()).unwrap();
        let tree = parser.parse(&text, None).unwrap();
        assert!(!tree.root_node().has_error(), "{text}");
        Scene { text, tree }
    }

    fn text(&self, node: Node<'_>) -> String {
        self.text[node.byte_range()].to_owned()
    }

    fn sections(&self) -> Vec<Section> {
        let root = self.tree.root_node();
        let mut cursor = root.walk();
        root.named_children(&mut cursor)
            .filter(|node| node.kind() == "section")
            .map(|node| self.section(node))
            .collect()
    }

    fn section(&self, node: Node<'_>) -> Section {
        let mut section = Section::default();
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            let pair = || {
                let (name, value) = (child.named_child(0), child.named_child(1));
                (self.text(name.unwrap()), self.text(value.unwrap()))
            };
            match child.kind() {
                "identifier" => section.kind = self.text(child),
                "attribute" => section.attributes.extend([pair()]),
                "property" => section.properties.extend([pair()]),
                other => panic!("{other} in a section"),
            }
        }
        section
    }
}

impl Section {
    fn numbers(&self, name: &str) -> Vec<f64> {
        let value = &self.properties[name];
        value
            .split(|c: char| !c.is_ascii_digit() && !"-.".contains(c))
            .filter_map(|number| number.parse().ok())
            .collect()
    }
}

#[test]
fn a_scene_has_the_mesh_in_a_polygon() {
    let shape = mesh_of(&sample("rocket.png"));
    let sections = Scene::of("my.rocket", &shape).sections();
    let [head, texture, node] = &sections[..] else {
        panic!("{sections:?}");
    };
    assert_eq!(
        (&*head.kind, &*head.attributes["format"]),
        ("gd_scene", "3")
    );
    assert_eq!(texture.kind, "ext_resource");
    assert_eq!(texture.attributes["type"], "\"Texture2D\"");
    assert_eq!(texture.attributes["path"], "\"res://art.png\"");
    assert_eq!(node.attributes["name"], "\"my_rocket\"");
    assert_eq!(node.attributes["type"], "\"Polygon2D\"");
    assert_eq!(node.properties["texture"], "ExtResource(\"1\")");
    let half = [shape.width(), shape.height()].map(|side| -f64::from(side) / 2.0);
    // "Vector2" has a digit.
    assert_eq!(node.numbers("offset")[1..], half);
    let polygon = node.numbers("polygon");
    assert_eq!(polygon, node.numbers("uv"));
    let vertices = polygon[1..].as_chunks::<2>().0;
    // "PackedInt32Array" has a number in each triangle.
    let triangles = node.numbers("polygons");
    let triangles = triangles.as_chunks::<4>().0.iter();
    let found =
        placed(triangles.map(|&[_, a, b, c]| [a, b, c].map(|vertex| vertices[vertex as usize])));
    let corner = |vertex: u32| shape.vertices()[vertex as usize];
    let expected = placed(shape.triangles().iter().map(|corners| corners.map(corner)));
    assert_near(&found, &expected, 1e-5);
    let inside = node.numbers("internal_vertex_count")[0] as usize;
    assert!(inside > 0);
    assert!(shape.edges().boundary.len() / 2 + inside == shape.vertices().len());
}

#[test]
fn islands_are_polygons_of_their_own() {
    let sections = Scene::of("a \"b\\c", &apart()).sections();
    let nodes: Vec<_> = sections
        .iter()
        .filter(|section| section.kind == "node")
        .map(|node| {
            let attribute = |name: &str| node.attributes.get(name).map(String::as_str);
            (attribute("name"), attribute("type"), attribute("parent"))
        })
        .collect();
    let polygon = Some("\"Polygon2D\"");
    assert_eq!(
        nodes,
        [
            (Some("\"a _b_c\""), Some("\"Node2D\""), None),
            (Some("\"a _b_c-1\""), polygon, Some("\".\"")),
            (Some("\"a _b_c-2\""), polygon, Some("\".\"")),
        ]
    );
}
