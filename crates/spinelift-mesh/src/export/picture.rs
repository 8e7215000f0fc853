//! The same picture as [`svg`](super::svg), as pixels.

use super::ExportError;
use super::look::{self, Color, Line};
use crate::edges::Edges;
use crate::image::Pixels;
use crate::limits::Limits;
use crate::shape::Shape;
use tiny_skia::{
    FillRule, FilterQuality, IntSize, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap,
    PixmapPaint, Rect, Stroke, Transform,
};

/// Draws a mesh over its image, as PNG.
pub(super) fn draw(image: &[u8], shape: &Shape, limits: &Limits) -> Result<Vec<u8>, ExportError> {
    let pixels = pixels_of(image, shape, limits)?;
    let (width, height) = (shape.width(), shape.height());
    let zoom = look::zoom(width, height);
    let shown = |side: u32| (f64::from(side) * zoom).round().max(1.0) as u32;
    let Some(mut canvas) = Pixmap::new(shown(width), shown(height)) else {
        unreachable!("neither side is zero or more than the largest shown");
    };
    checkerboard(&mut canvas);
    paste(&mut canvas, pixels, zoom);
    mesh(&mut canvas, shape, zoom);
    Ok(Pixels {
        width: canvas.width(),
        height: canvas.height(),
        rgba: canvas.take_demultiplied(),
    }
    .to_png())
}

/// The pixels of the image that a mesh was made of.
pub(super) fn pixels_of(
    image: &[u8],
    shape: &Shape,
    limits: &Limits,
) -> Result<Pixels, ExportError> {
    let pixels = Pixels::decode(image, limits)?;
    let (mesh, image) = (
        [shape.width(), shape.height()],
        [pixels.width, pixels.height],
    );
    match mesh == image {
        true => Ok(pixels),
        false => Err(ExportError::OtherImage { mesh, image }),
    }
}

fn paint(color: Color, opacity: f64) -> Paint<'static> {
    let mut paint = Paint::default();
    let [red, green, blue] = color;
    paint.set_color_rgba8(red, green, blue, (opacity * 255.0).round() as u8);
    paint.anti_alias = true;
    paint
}

/// What image editors show behind transparent pixels.
fn checkerboard(canvas: &mut Pixmap) {
    let [red, green, blue] = look::LIGHT;
    canvas.fill(tiny_skia::Color::from_rgba8(red, green, blue, u8::MAX));
    let side = look::SQUARE as usize;
    let (columns, rows) = (canvas.width() as usize, canvas.height() as usize);
    let mut path = PathBuilder::new();
    for top in (0..rows).step_by(side) {
        for left in (top % (2 * side)..columns).step_by(2 * side) {
            let square = Rect::from_xywh(left as f32, top as f32, side as f32, side as f32);
            square.into_iter().for_each(|square| path.push_rect(square));
        }
    }
    fill(
        canvas,
        path.finish(),
        &paint(look::SHADE, 1.0),
        Transform::identity(),
    );
}

fn paste(canvas: &mut Pixmap, mut pixels: Pixels, zoom: f64) {
    for pixel in pixels.rgba.chunks_exact_mut(4) {
        let alpha = u16::from(pixel[3]);
        for part in &mut pixel[..3] {
            *part = ((u16::from(*part) * alpha + 127) / 255) as u8;
        }
    }
    let size = IntSize::from_wh(pixels.width, pixels.height);
    let Some(image) = size.and_then(|size| Pixmap::from_vec(pixels.rgba, size)) else {
        unreachable!("an image has as many pixels as its header says");
    };
    let quality = match zoom >= look::PIXELATED {
        true => FilterQuality::Nearest,
        false => FilterQuality::Bilinear,
    };
    let paint = PixmapPaint {
        quality,
        ..PixmapPaint::default()
    };
    let scale = Transform::from_scale(zoom as f32, zoom as f32);
    canvas.draw_pixmap(0, 0, image.as_ref(), &paint, scale, None);
}

fn mesh(canvas: &mut Pixmap, shape: &Shape, zoom: f64) {
    let scale = Transform::from_scale(zoom as f32, zoom as f32);
    let mut triangles = PathBuilder::new();
    for triangle in shape.triangles() {
        lines(&mut triangles, shape, triangle);
        triangles.close();
    }
    fill(
        canvas,
        triangles.finish(),
        &paint(look::FILL, look::FILL_OPACITY),
        scale,
    );
    let edges = shape.edges();
    for line in &look::LINES {
        let path = edge_path(shape, &edges, line);
        let stroke = stroke(line.thickness / zoom);
        let paint = paint(line.color, line.opacity);
        path.iter()
            .for_each(|path| canvas.stroke_path(path, &paint, &stroke, scale, None));
    }
    dots(canvas, shape, scale);
}

fn edge_path(shape: &Shape, edges: &Edges, line: &Line) -> Option<Path> {
    let edges = match line.is_boundary {
        true => &edges.boundary,
        false => &edges.internal,
    };
    let mut path = PathBuilder::new();
    for edge in edges.chunks_exact(2) {
        lines(&mut path, shape, edge);
    }
    path.finish()
}

fn dots(canvas: &mut Pixmap, shape: &Shape, scale: Transform) {
    let radius = look::dot(shape.width(), shape.height(), shape.vertices().len());
    let mut path = PathBuilder::new();
    for &[x, y] in shape.vertices() {
        path.push_circle(x as f32, y as f32, radius as f32);
    }
    let path = path.finish();
    fill(canvas, path.clone(), &paint(look::DOT, 1.0), scale);
    let (outline, stroke) = (paint(look::CASING, 1.0), stroke(radius / 3.0));
    path.iter()
        .for_each(|path| canvas.stroke_path(path, &outline, &stroke, scale, None));
}

fn lines(path: &mut PathBuilder, shape: &Shape, indices: &[u32]) {
    for (position, index) in indices.iter().enumerate() {
        let [x, y] = shape.vertices()[*index as usize].map(|part| part as f32);
        match position {
            0 => path.move_to(x, y),
            _ => path.line_to(x, y),
        }
    }
}

fn fill(canvas: &mut Pixmap, path: Option<Path>, paint: &Paint<'_>, transform: Transform) {
    // A path of nothing is none.
    path.iter()
        .for_each(|path| canvas.fill_path(path, paint, FillRule::Winding, transform, None));
}

fn stroke(width: f64) -> Stroke {
    Stroke {
        width: width as f32,
        line_cap: LineCap::Round,
        line_join: LineJoin::Round,
        ..Stroke::default()
    }
}
