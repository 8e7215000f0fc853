//! Names that are nearly those of settings: to be told of one is better than to wonder why it does
//! nothing.

use super::SETTINGS;
use super::source::Variables;

/// Names as short as this are near too many others.
const SHORT: usize = 5;

/// Logs a warning for each variable, of the process or of `.env`, whose name is nearly that of a
/// setting.
pub fn warn_of_misspelt() {
    let Ok(variables) = Variables::of_process() else {
        // The settings were read from there a moment ago; if that failed, it was said.
        return;
    };
    for name in variables.names() {
        if let Some(meant) = meant(&name) {
            tracing::warn!("{name} is no setting, and is ignored; did you mean {meant}?");
        }
    }
}

/// The setting that a name which is none is up to two letters away from.
fn meant(name: &str) -> Option<&'static str> {
    let known = SETTINGS.iter().map(|setting| setting.name);
    if name.len() <= SHORT || known.clone().any(|known| known == name) {
        return None;
    }
    let near = |known: &&str| known.len() > SHORT && strsim::osa_distance(known, name) <= 2;
    known
        .filter(near)
        .min_by_key(|known| strsim::osa_distance(known, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nearly_settings_are_told_from_others() {
        for (name, setting) in [
            ("MAX_QUEUE_LENGHT", Some("MAX_QUEUE_LENGTH")),
            ("MAX_QUEUE_LEN", None),
            ("API_KEY", Some("API_KEYS")),
            ("api_keys", None),
            ("API_KEYS", None),
            ("PORTS", None),
            ("HOSTNAME", None),
            ("PATH", None),
        ] {
            assert_eq!(meant(name), setting, "{name}");
        }
    }
}
