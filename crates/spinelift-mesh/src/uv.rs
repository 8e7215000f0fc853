//! Texture coordinates.

/// `u0, v0, u1, v1, …` of vertices given in pixels: u = x / width, v = y / height, v down.
#[must_use]
pub fn texture_coordinates(vertices: &[[f64; 2]], width: u32, height: u32) -> Vec<f64> {
    let (width, height) = (f64::from(width), f64::from(height));
    vertices
        .iter()
        .flat_map(|[x, y]| [x / width, y / height])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corners_of_the_image_are_zero_and_one() {
        assert_eq!(
            texture_coordinates(&[[0.0, 0.0], [8.0, 2.0]], 8, 4),
            [0.0, 0.0, 1.0, 0.5]
        );
    }
}
