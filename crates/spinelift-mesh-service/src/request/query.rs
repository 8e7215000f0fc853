//! What a query has besides what is known of it.

use super::echo::MAX_ECHO;
use serde_json::{Value, json};
use spinelift_mesh::MAX_WARNINGS;

/// Warns of the parameters of a query that are ignored, each once, as long as there is room for
/// warnings.
pub(crate) fn warn_of_unknown(query: Option<&str>, known: &[&str], warnings: &mut Vec<Value>) {
    let query = query.unwrap_or_default().as_bytes();
    let mut told = Vec::new();
    for (name, _) in url::form_urlencoded::parse(query) {
        if warnings.len() >= MAX_WARNINGS {
            return;
        }
        if known.contains(&&*name) || told.contains(&name) {
            continue;
        }
        let shown: String = name.escape_debug().take(MAX_ECHO).collect();
        warnings.push(json!({
            "code": "UNKNOWN_FIELD",
            "message": format!("unknown query parameter `{shown}` was ignored"),
        }));
        told.push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_named_once_and_not_without_end() {
        let warnings = |query: &str| {
            let mut warnings = Vec::new();
            warn_of_unknown(Some(query), &["wait"], &mut warnings);
            warnings
        };
        assert!(warnings("").is_empty());
        assert!(warnings("wait=1&wait=2").is_empty());
        let found = warnings("format=spine&wait=1&format=svg&a%0Ab");
        let messages: Vec<_> = found.iter().map(|w| w["message"].as_str()).collect();
        assert_eq!(
            messages,
            [
                Some("unknown query parameter `format` was ignored"),
                Some("unknown query parameter `a\\nb` was ignored"),
            ]
        );
        let many: Vec<_> = (0..10_000).map(|number| format!("p{number}")).collect();
        assert_eq!(warnings(&many.join("&")).len(), MAX_WARNINGS);
    }
}
