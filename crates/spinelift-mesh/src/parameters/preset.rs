//! Named sets of parameters.
//!
//! All but the plainest reach for the faint pixels at the art's edge: a small blur and a low
//! threshold push the outline out by a pixel or two, so that simplification cuts off air rather
//! than art.

use super::{InteriorParameters, MeshParameters, OutlineParameters};
use serde::Serialize;

/// A set of parameters under a name.
///
/// Serialized as `{"name", "title", "description", "parameters"}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Preset {
    /// The name that programs use.
    pub name: &'static str,
    /// The name that people read.
    pub title: &'static str,
    /// When to use it, in one sentence.
    pub description: &'static str,
    /// Its values.
    pub parameters: MeshParameters,
}

/// All presets: those of the reference's outline from the finest to the coarsest, then those that
/// lose no pixel.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "high_detail",
        title: "High Detail",
        description: "For large or close sprites that bend a lot: follows the art closely, with \
                      hundreds of triangles inside.",
        parameters: MeshParameters {
            detail_factor: 0.05,
            alpha_threshold: 1,
            blur_kernel_size: 3,
            binary_threshold: 10,
            internal_vertex_density: 4,
            density_scaling_factor: 100.0,
            ..MeshParameters::DEFAULT
        },
    },
    Preset {
        name: "balanced",
        title: "Balanced",
        description: "For most characters and limbs: little art is cut off, and there are enough \
                      vertices inside to bend.",
        parameters: MeshParameters {
            detail_factor: 0.03,
            blur_kernel_size: 5,
            binary_threshold: 20,
            internal_vertex_density: 1,
            density_scaling_factor: 100.0,
            ..MeshParameters::DEFAULT
        },
    },
    Preset {
        name: "performance",
        title: "Performance",
        description: "For many sprites at a time or weak devices: a tight outline of few vertices \
                      and none inside.",
        parameters: MeshParameters {
            detail_factor: 0.02,
            blur_kernel_size: 5,
            binary_threshold: 20,
            ..MeshParameters::DEFAULT
        },
    },
    Preset {
        name: "simple_shapes",
        title: "Simple Shapes",
        description: "For boxes, coins, particles and far backgrounds: the fewest vertices that \
                      still give the shape.",
        parameters: MeshParameters {
            detail_factor: 0.001,
            concave_factor: 10.0,
            blur_kernel_size: 9,
            binary_threshold: 20,
            ..MeshParameters::DEFAULT
        },
    },
    Preset {
        name: "full_coverage",
        title: "Full Coverage",
        description: "For any sprite of which nothing may be cut off: 12 vertices around every \
                      visible pixel, with room for filtering.",
        parameters: MeshParameters {
            outline: OutlineParameters {
                max_vertices: Some(12),
                padding: BILINEAR,
                ..OutlineParameters::COVER
            },
            ..MeshParameters::COVER
        },
    },
    Preset {
        name: "full_coverage_bend",
        title: "Full Coverage, Bending",
        description: "The same for sprites that bend: up to 60 vertices, spread evenly inside and \
                      along the outline.",
        parameters: MeshParameters {
            outline: OutlineParameters {
                max_vertices: Some(12),
                padding: BILINEAR,
                ..OutlineParameters::COVER
            },
            interior: InteriorParameters {
                vertices: Some(60),
                ..InteriorParameters::DEFAULT
            },
            ..MeshParameters::COVER
        },
    },
];

/// How far bilinear filtering reaches around a pixel, in pixels.
const BILINEAR: f64 = 0.5;

impl Preset {
    /// The preset of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Preset> {
        PRESETS.iter().find(|preset| preset.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_preset_is_valid_and_found_by_its_own_name() {
        for preset in PRESETS {
            assert_eq!(preset.parameters.normalized(), Ok(preset.parameters));
            assert_eq!(Preset::by_name(preset.name), Some(preset));
            assert!(preset.description.ends_with('.') && !preset.title.is_empty());
            let same = |other: &&Preset| {
                other.parameters == preset.parameters || other.title == preset.title
            };
            assert_eq!(PRESETS.iter().filter(same).count(), 1, "{}", preset.name);
            assert_ne!(preset.parameters, MeshParameters::default());
        }
        assert_eq!(Preset::by_name("Balanced"), None);
    }

    #[test]
    fn a_preset_serializes_with_all_of_its_parameters() {
        let balanced = Preset::by_name("balanced").expect("it is in the table");
        let json = serde_json::to_value(balanced).expect("plain values");
        assert_eq!(json["name"], "balanced");
        assert_eq!(json["title"], "Balanced");
        assert_eq!(json["description"], balanced.description);
        let (read, warnings) = MeshParameters::from_json(&json["parameters"]).expect("valid");
        assert_eq!((read, warnings), (balanced.parameters, Vec::new()));
    }

    #[test]
    fn what_is_given_overrides_the_preset_and_the_rest_stays() {
        for preset in PRESETS {
            let over = |value| {
                MeshParameters::from_json_over(&value, preset.parameters)
                    .expect("valid")
                    .0
            };
            let expected = MeshParameters {
                alpha_threshold: 77,
                ..preset.parameters
            };
            assert_eq!(over(json!({ "alpha_threshold": 77 })), expected);
            assert_eq!(over(json!({})), preset.parameters);
            assert_eq!(over(json!(null)), preset.parameters);
        }
    }
}
