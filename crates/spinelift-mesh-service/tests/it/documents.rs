//! Documents that are made from the code: `UPDATE_DOCUMENTS=1` writes them anew.

use spinelift_mesh_service::settings::SETTINGS;
use spinelift_mesh_service::{Settings, openapi_document, settings};
use std::fs;
use std::path::Path;

fn check(file: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(file);
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        found, expected,
        "{file}: run the tests with UPDATE_DOCUMENTS=1"
    );
}

#[test]
fn the_settings_are_documented_as_they_are() {
    let introduction = "# Settings\n\n\
        Read from the environment, and from a file `.env` in the working directory for what is \
        not set there. A value that is not allowed keeps the service from starting, which says \
        what to change. [`.env.example`](../.env.example) has them all.\n\n";
    check(
        "docs/SETTINGS.md",
        &format!("{introduction}{}", settings::documentation()),
    );
}

#[test]
fn the_example_file_holds_the_defaults() {
    check(".env.example", &settings::example_file());
}

#[test]
fn the_api_is_described_as_it_is() {
    let document = openapi_document(&Settings::default());
    let text = serde_json::to_string_pretty(&document).unwrap();
    check("docs/openapi.json", &format!("{text}\n"));
}

/// Settings are named in capitals with an underscore; what else looks like that is listed here.
#[test]
fn the_readme_names_only_settings_that_exist() {
    const OTHERS: [&str; 5] = [
        "JOB_CANCELLED",
        "SPINELIFT_BENCH_SPRITES",
        "SPINELIFT_BENCH_PYTHON",
        "LOG_LEVEL",
        "TIME_WAS_UP",
    ];
    let readme = include_str!("../../../../README.md");
    let words = readme.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
    let names: Vec<_> = words
        .filter(|word| word.contains('_') && word.len() > 3 && !word.starts_with('_'))
        .collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        let is_setting = SETTINGS.iter().any(|spec| spec.name == name);
        assert!(is_setting || OTHERS.contains(&name), "{name}");
    }
}
