//! OBJ and glTF, read by crates for them.

use super::{apart, assert_near, mesh_of, placed, sample, sprite};
use gltf::image::Source;
use gltf::mesh::Mode;
use spinelift_mesh::export::{ExportError, Format, material, material_file, write};
use spinelift_mesh::image::Pixels;
use spinelift_mesh::{Limits, Shape};

fn export(format: Format, shape: &Shape, image: &[u8]) -> Vec<u8> {
    write(
        format,
        &sprite("my art", shape),
        Some(image),
        &Limits::default(),
    )
    .unwrap()
}

fn read_obj(obj: &[u8], mtl: &[u8], mtl_file: &str) -> (Vec<tobj::Model>, Vec<tobj::Material>) {
    let (models, materials) =
        tobj::load_obj_buf(&mut &obj[..], &tobj::LoadOptions::default(), |path| {
            assert_eq!(path.to_str(), Some(mtl_file));
            tobj::load_mtl_buf(&mut &mtl[..])
        })
        .unwrap();
    (models, materials.unwrap())
}

/// Counter-clockwise where y points up, as both formats want it.
fn expected(shape: &Shape, place: impl Fn([f64; 2]) -> [f64; 2]) -> Vec<[[f64; 2]; 3]> {
    let corner = |vertex: u32| place(shape.vertices()[vertex as usize]);
    placed(
        shape
            .triangles()
            .iter()
            .map(|&[a, b, c]| [a, c, b].map(corner)),
    )
}

#[test]
fn an_obj_is_read_with_its_material() {
    let image = sample("rocket.png");
    let shape = mesh_of(&image);
    let (width, height) = (f64::from(shape.width()), f64::from(shape.height()));
    let named = sprite("my art", &shape);
    assert_eq!(material_file(named.texture), "art.png.mtl");
    let obj = export(Format::Obj, &shape, &image);
    let (models, materials) = read_obj(&obj, &material(&named), "art.png.mtl");
    let [model] = &models[..] else {
        panic!("one model");
    };
    assert_eq!(model.name, "my_art");
    assert_eq!(model.mesh.material_id, Some(0));
    assert_eq!(materials[0].name, "my_art");
    assert_eq!(materials[0].diffuse_texture.as_deref(), Some("art.png"));
    assert_eq!(materials[0].dissolve_texture.as_deref(), Some("art.png"));
    let mesh = &model.mesh;
    let corners = |indices: &[u32], values: &[f32], size: usize| {
        placed(indices.as_chunks::<3>().0.iter().map(|triangle| {
            triangle.map(|index| {
                let at = size * index as usize;
                [values[at], values[at + 1]].map(f64::from)
            })
        }))
    };
    assert_near(
        &corners(&mesh.indices, &mesh.positions, 3),
        &expected(&shape, |[x, y]| [x - width / 2.0, height / 2.0 - y]),
        1e-4,
    );
    assert_near(
        &corners(&mesh.texcoord_indices, &mesh.texcoords, 2),
        &expected(&shape, |[x, y]| [x / width, 1.0 - y / height]),
        2e-7,
    );
}

#[test]
fn a_gltf_is_valid_and_has_the_image_in_it() {
    let image = sample("horse.png");
    let shape = mesh_of(&image);
    let bytes = export(Format::Gltf, &shape, &image);
    // Checks it against the rules of the format.
    let gltf::Gltf { document, blob } = gltf::Gltf::from_slice(&bytes).unwrap();
    let blob = blob.unwrap();
    let node = document.default_scene().unwrap().nodes().next().unwrap();
    assert_eq!(node.name(), Some("my art"));
    let mesh = node.mesh().unwrap();
    let primitive = mesh.primitives().next().unwrap();
    assert_eq!(primitive.mode(), Mode::Triangles);
    let reader = primitive.reader(|_| Some(&blob));
    let positions: Vec<_> = reader.read_positions().unwrap().collect();
    let uvs: Vec<_> = reader.read_tex_coords(0).unwrap().into_f32().collect();
    let indices: Vec<_> = reader.read_indices().unwrap().into_u32().collect();
    assert!(positions.iter().all(|place| place[2] == 0.0));
    let bounds = primitive.bounding_box();
    for (axis, (low, high)) in bounds.min.into_iter().zip(bounds.max).enumerate() {
        let parts = || positions.iter().map(|place| place[axis]);
        assert_eq!(parts().fold(f32::INFINITY, f32::min), low);
        assert_eq!(parts().fold(f32::NEG_INFINITY, f32::max), high);
    }
    let corners = |values: &dyn Fn(usize) -> [f32; 2]| {
        let triangles = indices.as_chunks::<3>().0.iter();
        placed(triangles.map(|corners| corners.map(|index| values(index as usize).map(f64::from))))
    };
    let (width, height) = (f64::from(shape.width()), f64::from(shape.height()));
    assert_near(
        &corners(&|index| [positions[index][0], positions[index][1]]),
        &expected(&shape, |[x, y]| {
            [(x - width / 2.0) / 100.0, (height / 2.0 - y) / 100.0]
        }),
        1e-6,
    );
    assert_near(
        &corners(&|index| uvs[index]),
        &expected(&shape, |[x, y]| [x / width, y / height]),
        2e-7,
    );
    let material = primitive.material();
    assert!(material.unlit() && material.double_sided());
    assert_eq!(material.alpha_mode(), gltf::material::AlphaMode::Blend);
    let texture = material.pbr_metallic_roughness().base_color_texture();
    let Source::View { view, mime_type } = texture.unwrap().texture().source().source() else {
        panic!("the image is in the file");
    };
    assert_eq!(mime_type, "image/png");
    assert_eq!(blob[view.offset()..view.offset() + view.length()], image);
}

/// Which not every reader of glTF knows.
#[test]
fn a_webp_is_in_a_gltf_as_png() {
    let pixels: Vec<u8> = (0..=255).collect();
    let mut webp = Vec::new();
    image_webp::WebPEncoder::new(&mut webp)
        .encode(&pixels, 8, 8, image_webp::ColorType::Rgba8)
        .unwrap();
    let bytes = export(Format::Gltf, &apart(), &webp);
    let gltf::Gltf { document, blob } = gltf::Gltf::from_slice(&bytes).unwrap();
    let Source::View { view, mime_type } = document.images().next().unwrap().source() else {
        panic!("the image is in the file");
    };
    assert_eq!(mime_type, "image/png");
    let blob = blob.unwrap();
    let image = &blob[view.offset()..view.offset() + view.length()];
    assert_eq!(
        Pixels::decode(image, &Limits::default()).unwrap().rgba,
        pixels
    );
}

#[test]
fn islands_and_their_bounds_are_valid_too() {
    let image = crate::drawing::png(8, 8, png::ColorType::Grayscale, &[200; 64]);
    let shape = apart();
    let bytes = export(Format::Gltf, &shape, &image);
    let gltf = gltf::Gltf::from_slice(&bytes).unwrap();
    assert_eq!(gltf.meshes().next().unwrap().primitives().len(), 1);
    let named = sprite("my art", &shape);
    let obj = export(Format::Obj, &shape, &image);
    let (models, _) = read_obj(&obj, &material(&named), "art.png.mtl");
    assert_eq!(models[0].mesh.indices.len(), 6);
}

#[test]
fn what_needs_the_image_says_so() {
    let shape = apart();
    for format in Format::ALL {
        let written = write(format, &sprite("art", &shape), None, &Limits::default());
        match format.needs_image() {
            true => assert_eq!(written, Err(ExportError::NoImage { format })),
            false => assert!(!written.unwrap().is_empty()),
        }
    }
}
