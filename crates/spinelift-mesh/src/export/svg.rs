//! A picture of a mesh: the image with the triangles drawn on it.

use super::look::{self, Color};
use crate::image::ImageFormat;
use crate::shape::Shape;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt::{self, Write as _};

/// Draws a mesh over `image`, the encoded bytes that it was made from (PNG, WebP or JPEG); without
/// them, over nothing.
///
/// The SVG embeds the image as it is, so the file stands alone. Lines and dots are equally thick
/// on screen whatever the size of the image. The same input gives the same bytes.
#[must_use]
pub fn preview(image: Option<&[u8]>, mesh: &Shape) -> String {
    let embedded = image.map_or(0, |image| image.len() * 4 / 3);
    let mut svg = String::with_capacity(embedded + mesh.vertices().len() * 128 + 2048);
    // Writing to a String cannot fail.
    let _ = draw(&mut svg, image, mesh);
    svg
}

fn draw(svg: &mut String, image: Option<&[u8]>, mesh: &Shape) -> fmt::Result {
    let (width, height) = (mesh.width(), mesh.height());
    let zoom = look::zoom(width, height);
    // One CSS pixel, in pixels of the image.
    let px = 1.0 / zoom;

    writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="{}" viewBox="0 0 {width} {height}">"#,
        Short(f64::from(width) * zoom),
        Short(f64::from(height) * zoom),
    )?;
    writeln!(
        svg,
        "<title>{} vertices, {} triangles, {width} × {height} pixels</title>",
        mesh.vertices().len(),
        mesh.triangles().len(),
    )?;

    svg.push_str("<defs>\n");
    checkerboard(svg, look::SQUARE * px)?;
    let found = mesh.edges();
    edges(svg, "internal", mesh, &found.internal)?;
    edges(svg, "boundary", mesh, &found.boundary)?;
    svg.push_str("</defs>\n");

    writeln!(
        svg,
        r#"<rect width="{width}" height="{height}" fill="url(#checkerboard)"/>"#
    )?;
    if let Some(image) = image {
        embed(svg, image, mesh, zoom)?;
    }
    triangles(svg, mesh)?;
    svg.push_str("<g fill=\"none\" stroke-linecap=\"round\" stroke-linejoin=\"round\">\n");
    for line in &look::LINES {
        let id = if line.is_boundary {
            "boundary"
        } else {
            "internal"
        };
        writeln!(
            svg,
            r##"<use href="#{id}" stroke="{}" stroke-opacity="{}" stroke-width="{}"/>"##,
            Hex(line.color),
            line.opacity,
            Short(line.thickness * px),
        )?;
    }
    svg.push_str("</g>\n");
    vertices(svg, mesh)?;
    svg.push_str("</svg>\n");
    Ok(())
}

/// The mesh ignores an EXIF orientation, so the picture must too.
fn embed(svg: &mut String, image: &[u8], mesh: &Shape, zoom: f64) -> fmt::Result {
    let rendering = if zoom >= look::PIXELATED {
        ";image-rendering:pixelated"
    } else {
        ""
    };
    write!(
        svg,
        r#"<image width="{}" height="{}" preserveAspectRatio="none" style="image-orientation:none{rendering}" href="data:{};base64,"#,
        mesh.width(),
        mesh.height(),
        media_type(image),
    )?;
    STANDARD.encode_string(image, svg);
    svg.push_str("\"/>\n");
    Ok(())
}

/// What image editors show behind transparent pixels.
fn checkerboard(svg: &mut String, square: f64) -> fmt::Result {
    let (one, two) = (Short(square), Short(2.0 * square));
    writeln!(
        svg,
        r##"<pattern id="checkerboard" width="{two}" height="{two}" patternUnits="userSpaceOnUse"><rect width="{two}" height="{two}" fill="{}"/><path d="M0 0H{one}V{one}H0ZM{one} {one}H{two}V{two}H{one}Z" fill="{}"/></pattern>"##,
        Hex(look::LIGHT),
        Hex(look::SHADE),
    )
}

fn edges(svg: &mut String, id: &str, mesh: &Shape, edges: &[u32]) -> fmt::Result {
    write!(svg, r#"<path id="{id}" d=""#)?;
    for edge in edges.chunks_exact(2) {
        polygon(svg, mesh, edge)?;
    }
    svg.push_str("\"/>\n");
    Ok(())
}

fn triangles(svg: &mut String, mesh: &Shape) -> fmt::Result {
    write!(
        svg,
        r#"<path id="triangles" fill="{}" fill-opacity="{}" d=""#,
        Hex(look::FILL),
        look::FILL_OPACITY,
    )?;
    for triangle in mesh.triangles() {
        polygon(svg, mesh, triangle)?;
        svg.push('Z');
    }
    svg.push_str("\"/>\n");
    Ok(())
}

fn vertices(svg: &mut String, mesh: &Shape) -> fmt::Result {
    let radius = look::dot(mesh.width(), mesh.height(), mesh.vertices().len());
    writeln!(
        svg,
        r#"<g fill="{}" stroke="{}" stroke-width="{}">"#,
        Hex(look::DOT),
        Hex(look::CASING),
        Short(radius / 3.0),
    )?;
    for [x, y] in mesh.vertices() {
        writeln!(svg, r#"<circle cx="{x}" cy="{y}" r="{}"/>"#, Short(radius))?;
    }
    svg.push_str("</g>\n");
    Ok(())
}

/// A line from vertex to vertex, as path data.
fn polygon(svg: &mut String, mesh: &Shape, indices: &[u32]) -> fmt::Result {
    let mut command = 'M';
    for index in indices {
        let [x, y] = mesh.vertices()[*index as usize];
        write!(svg, "{command}{x} {y}")?;
        command = 'L';
    }
    Ok(())
}

/// A length with four significant digits, which is more than an eye can tell.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = (3 - self.0.abs().max(1e-9).log10().floor() as i32).clamp(0, 12);
        let scale = 10_f64.powi(digits);
        write!(f, "{}", (self.0 * scale).round() / scale)
    }
}

struct Hex(Color);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// A viewer shows nothing for bytes that are no image.
fn media_type(image: &[u8]) -> &'static str {
    ImageFormat::detect(image).map_or("application/octet-stream", ImageFormat::media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(size: u32) -> Shape {
        let side = f64::from(size);
        let corners = vec![[0.0, 0.0], [side, 0.0], [side, side], [0.0, side]];
        Shape::new([size, size], corners, vec![[0, 1, 2], [0, 2, 3]]).expect("a shape")
    }

    fn number(document: &roxmltree::Document<'_>, attribute: &str) -> f64 {
        let text = document.root_element().attribute(attribute);
        text.and_then(|text| text.parse().ok()).expect("a number")
    }

    #[test]
    fn everything_is_in_the_drawing() {
        let image = b"\x89PNG\r\n\x1a\nnot really";
        let svg = preview(Some(image), &square(100));
        let document = roxmltree::Document::parse(&svg).expect("well-formed XML");
        let with = |attribute: &str, value: &str| {
            document
                .descendants()
                .find(|node| node.attribute(attribute) == Some(value))
                .unwrap_or_else(|| panic!("no {attribute}={value}"))
        };

        let title = document
            .descendants()
            .find(|node| node.has_tag_name("title"));
        let title = title.and_then(|node| node.text());
        assert_eq!(title, Some("4 vertices, 2 triangles, 100 × 100 pixels"));

        let embedded = document.descendants().find_map(|node| {
            node.attribute("href")
                .filter(|href| href.starts_with("data:"))
        });
        let embedded = embedded.and_then(|href| href.strip_prefix("data:image/png;base64,"));
        let embedded = STANDARD.decode(embedded.expect("a PNG")).expect("base64");
        assert_eq!(embedded, image);

        assert_eq!(
            with("id", "triangles").attribute("d"),
            Some("M0 0L100 0L100 100ZM0 0L100 100L0 100Z")
        );
        assert_eq!(with("id", "internal").attribute("d"), Some("M0 0L100 100"));
        assert_eq!(
            with("id", "boundary").attribute("d"),
            Some("M0 0L100 0M0 0L0 100M100 0L100 100M100 100L0 100")
        );
        let circles = document
            .descendants()
            .filter(|node| node.has_tag_name("circle"));
        assert_eq!(circles.count(), 4);
    }

    #[test]
    fn references_lead_to_what_exists() {
        let svg = preview(Some(b""), &square(10));
        let document = roxmltree::Document::parse(&svg).expect("well-formed XML");
        let ids: Vec<_> = document
            .descendants()
            .filter_map(|node| node.attribute("id"))
            .collect();
        for node in document
            .descendants()
            .filter(|node| node.has_tag_name("use"))
        {
            let id = node
                .attribute("href")
                .and_then(|href| href.strip_prefix('#'));
            assert!(ids.contains(&id.expect("a reference")), "{id:?}");
        }
    }

    #[test]
    fn small_images_are_enlarged_and_large_ones_reduced() {
        for (size, shown) in [(1, 640.0), (32, 640.0), (1000, 1000.0), (4096, 1200.0)] {
            let svg = preview(Some(b""), &square(size));
            let document = roxmltree::Document::parse(&svg).expect("well-formed XML");
            assert_eq!(number(&document, "width"), shown, "{size}");
            assert_eq!(svg.contains("pixelated"), size <= 32, "{size}");
        }
    }

    #[test]
    fn the_media_type_is_told_by_content() {
        assert_eq!(media_type(b"\x89PNG\r\n\x1a\n"), "image/png");
        assert_eq!(media_type(b"RIFF....WEBP"), "image/webp");
        assert_eq!(media_type(&[0xff, 0xd8, 0xff, 0xe0]), "image/jpeg");
        assert_eq!(media_type(b""), "application/octet-stream");
    }

    #[test]
    fn lengths_are_short() {
        for (length, text) in [
            (0.0333333, "0.03333"),
            (1.0, "1"),
            (1599.96, "1600"),
            (0.0, "0"),
        ] {
            assert_eq!(Short(length).to_string(), text);
        }
    }
}
