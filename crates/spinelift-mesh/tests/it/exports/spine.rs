//! Skeletons, read by the official runtime of Spine 4.2.

use super::{apart, assert_near, mesh_of, placed, sample, sprite};
use rusty_spine::draw::{ColorSpace, CullDirection, SimpleDrawer, SimpleRenderable};
use rusty_spine::{Atlas, Physics, Skeleton, SkeletonData, SkeletonJson};
use serde_json::Value;
use spinelift_mesh::export::spine::{Version, skeleton};
use spinelift_mesh::export::{ExportError, Sprite};
use spinelift_mesh::import::Document;
use spinelift_mesh::{Limits, Shape};
use std::sync::Arc;

/// As the runtime sees a skeleton with its atlas.
pub(super) fn read(json: &[u8], atlas: &str) -> Skeleton {
    let atlas = Atlas::new(atlas.as_bytes(), "").unwrap();
    let data = SkeletonJson::new(Arc::new(atlas)).read_skeleton_data(json);
    let data: Arc<SkeletonData> = Arc::new(data.unwrap());
    let mut skeleton = Skeleton::new(data);
    skeleton.set_to_setup_pose();
    skeleton.update_world_transform(Physics::None);
    skeleton
}

pub(super) fn draw(skeleton: &mut Skeleton) -> Vec<SimpleRenderable> {
    // What is wound the other way on screen comes out as it is in the file.
    let drawer = SimpleDrawer {
        cull_direction: CullDirection::Clockwise,
        premultiplied_alpha: false,
        color_space: ColorSpace::Linear,
    };
    drawer.draw(skeleton, None)
}

/// An atlas of whole images, one for each name and size, each on a page of its own.
fn whole(images: &[(&str, &Shape)]) -> String {
    let pages = images.iter().map(|(name, shape)| {
        let (width, height) = (shape.width(), shape.height());
        format!("{name}.png\nsize: {width}, {height}\n{name}\nbounds: 0, 0, {width}, {height}\n")
    });
    pages.collect::<Vec<_>>().join("\n")
}

fn corners<const SIZE: usize>(
    triangles: &[u16],
    vertices: &[[f32; SIZE]],
) -> Vec<[[f64; SIZE]; 3]> {
    let corner = |&index: &u16| vertices[usize::from(index)].map(f64::from);
    placed(
        triangles
            .as_chunks::<3>()
            .0
            .iter()
            .map(|triangle| triangle.each_ref().map(corner)),
    )
}

fn places(shape: &Shape, place: impl Fn([f64; 2]) -> [f64; 2]) -> Vec<[[f64; 2]; 3]> {
    let corner = |vertex: u32| place(shape.vertices()[vertex as usize]);
    placed(
        shape
            .triangles()
            .iter()
            .map(|triangle| triangle.map(corner)),
    )
}

#[test]
fn the_runtime_of_4_2_draws_the_mesh_where_it_is() {
    for name in ["rocket.png", "horse.png", "crawfish.png"] {
        let shape = mesh_of(&sample(name));
        let json = skeleton(&[sprite("art", &shape)], Version::V4_2, "./").unwrap();
        let mut skeleton = read(&json, &whole(&[("art", &shape)]));
        let (width, height) = (f64::from(shape.width()), f64::from(shape.height()));
        let data = skeleton.data();
        assert_eq!(data.version(), Some("4.2.43"));
        assert_eq!(data.images_path(), Some("./"));
        assert_eq!(
            (data.width(), data.x()),
            (width as f32, -width as f32 / 2.0)
        );
        drop(data);
        let drawn = draw(&mut skeleton);
        assert_eq!(drawn.len(), 1);
        // y up; and seven decimals of texture coordinates are as many as a runtime keeps.
        let expected = places(&shape, |[x, y]| [x - width / 2.0, height / 2.0 - y]);
        assert_near(
            &corners(&drawn[0].indices, &drawn[0].vertices),
            &expected,
            1e-4,
        );
        let expected = places(&shape, |[x, y]| [x / width, y / height]);
        assert_near(&corners(&drawn[0].indices, &drawn[0].uvs), &expected, 2e-7);
    }
}

#[test]
fn the_hull_is_a_ring_and_edges_are_doubled() {
    for name in ["rocket.png", "teddy-bear.png"] {
        let shape = mesh_of(&sample(name));
        let json = skeleton(&[sprite("art", &shape)], Version::V4_2, "./").unwrap();
        let mut skeleton = read(&json, &whole(&[("art", &shape)]));
        let attachment = skeleton.get_attachment_for_slot_name("art", "art");
        let mesh = attachment.unwrap().as_mesh().unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        let json = &json["skins"][0]["attachments"]["art"]["art"];
        let list = |name: &str| -> Vec<u32> {
            let list = json[name].as_array().unwrap().iter();
            list.map(|number| number.as_u64().unwrap() as u32).collect()
        };
        let (triangles, edges) = (list("triangles"), list("edges"));
        let hull = json["hull"].as_u64().unwrap() as u32;
        assert_eq!(mesh.hull_length(), hull as i32);
        assert_eq!(mesh.edges_count(), edges.len());
        assert_eq!(mesh.triangles_count() as usize, triangles.len());
        assert_eq!(mesh.width(), shape.width() as f32);

        let edges: Vec<[u32; 2]> = edges
            .as_chunks::<2>()
            .0
            .iter()
            .map(|pair| {
                assert!(pair.iter().all(|index| index % 2 == 0), "{pair:?}");
                pair.map(|index| index / 2)
            })
            .collect();
        let mut of_triangles: Vec<_> = triangles
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|&[a, b, c]| [[a, b], [b, c], [c, a]])
            .map(|[a, b]| [a.min(b), a.max(b)])
            .collect();
        of_triangles.sort_unstable();
        let of_one: Vec<_> = of_triangles
            .chunk_by(|a, b| a == b)
            .filter(|uses| uses.len() == 1)
            .map(|uses| uses[0])
            .collect();
        let mut ring: Vec<_> = (0..hull)
            .map(|vertex| (vertex, (vertex + 1) % hull))
            .map(|(a, b)| [a.min(b), a.max(b)])
            .collect();
        assert_eq!(edges[..hull as usize], ring);
        ring.sort_unstable();
        assert_eq!(ring, of_one);
        of_triangles.dedup();
        let mut edges = edges;
        edges.sort_unstable();
        assert_eq!(edges, of_triangles);
    }
}

#[test]
fn triangles_run_clockwise_where_y_points_up() {
    let shape = mesh_of(&sample("sailboat.png"));
    let json = skeleton(&[sprite("art", &shape)], Version::V4_2, "./").unwrap();
    let drawn = draw(&mut read(&json, &whole(&[("art", &shape)])));
    let vertices = &drawn[0].vertices;
    for triangle in corners(&drawn[0].indices, vertices) {
        let [a, b, c] = triangle;
        let doubled = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
        assert!(doubled < 0.0, "{triangle:?}");
    }
}

#[test]
fn a_skeleton_takes_many_sprites_and_islands() {
    let (one, other) = (mesh_of(&sample("rocket.png")), apart());
    let sprites = [sprite("limbs/one", &one), sprite("other", &other)];
    let json = skeleton(&sprites, Version::V4_2, "images/").unwrap();
    let atlas = whole(&[("limbs/one", &one), ("other", &other)]);
    let mut skeleton = read(&json, &atlas);
    let names: Vec<_> = skeleton
        .slots()
        .map(|slot| {
            (
                slot.data().name().to_owned(),
                slot.bone().data().name().to_owned(),
            )
        })
        .collect();
    let expected = [
        ("limbs_one", "limbs_one"),
        ("other", "other"),
        ("other-2", "other"),
    ];
    assert_eq!(
        names,
        expected.map(|(slot, bone)| (slot.to_owned(), bone.to_owned()))
    );
    assert_eq!(skeleton.bone_root().data().name(), "root");
    let drawn = draw(&mut skeleton);
    assert_eq!(drawn.len(), 3);
    assert_eq!(drawn[2].indices.len(), 3);
}

/// The runtime reads its own version alone, so the number in front is all that is changed here.
#[test]
fn a_skeleton_for_3_8_differs_in_its_version_alone() {
    let shape = mesh_of(&sample("rocket.png"));
    let old = skeleton(&[sprite("art", &shape)], Version::V3_8, "./").unwrap();
    let atlas = Atlas::new(whole(&[("art", &shape)]).as_bytes(), "").unwrap();
    assert!(
        SkeletonJson::new(Arc::new(atlas))
            .read_skeleton_data(&old)
            .is_err()
    );
    let old = String::from_utf8(old).unwrap();
    assert!(old.contains(r#""spine":"3.8.99""#), "{old}");
    let renumbered = old.replace("3.8.99", "4.2.43");
    let new = skeleton(&[sprite("art", &shape)], Version::V4_2, "./").unwrap();
    assert_eq!(renumbered.as_bytes(), new);
}

#[test]
fn more_vertices_than_spine_counts_are_refused() {
    let count = (1 << 16) + 1;
    // A fan, of which the last triangle is one too many.
    let vertices = (0..count).map(|index| [f64::from(index), f64::from(index % 2)]);
    let triangles = (0..count as u32 - 2).map(|index| [index, index + 1, index + 2]);
    let shape = Shape::new([1 << 17, 2], vertices.collect(), triangles.collect()).unwrap();
    let sprite = Sprite {
        name: "art",
        texture: "art.png",
        shape: &shape,
    };
    assert_eq!(
        skeleton(&[sprite], Version::V4_2, "./"),
        Err(ExportError::TooManyVertices {
            count: count as usize,
            limit: 1 << 16,
        })
    );
}

#[test]
fn a_skeleton_is_read_as_what_was_written() {
    let shape = mesh_of(&sample("rocket.png"));
    let json = skeleton(&[sprite("art", &shape)], Version::V4_2, "./").unwrap();
    let Document::Spine(meshes) = Document::read(&json, &Limits::default()).unwrap() else {
        panic!("a skeleton");
    };
    let [mesh] = &meshes[..] else {
        panic!("one mesh");
    };
    assert_eq!(
        (&*mesh.name, &*mesh.path, &*mesh.skin),
        ("art", "art", "default")
    );
    let read = mesh.shape([shape.width(), shape.height()]).unwrap();
    let same = |[x, y]: [f64; 2]| [x, y];
    assert_near(&places(&read, same), &places(&shape, same), 1e-4);
}
