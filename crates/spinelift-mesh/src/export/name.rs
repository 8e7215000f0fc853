//! Names that every format can have.

use std::collections::HashSet;

/// Makes names of files out of which no two are the same, in their order: without the extension,
/// where that leaves them different.
///
/// A `\` becomes a `/`.
#[must_use]
pub fn unique_names(paths: &[String]) -> Vec<String> {
    let stems: Vec<String> = paths.iter().map(|path| plain(stem(path))).collect();
    let mut seen = HashSet::new();
    let twice: HashSet<&String> = stems.iter().filter(|stem| !seen.insert(*stem)).collect();
    let mut taken = Taken::default();
    paths
        .iter()
        .zip(&stems)
        .map(|(path, stem)| match twice.contains(stem) {
            true => taken.take(plain(path)),
            false => taken.take(stem.clone()),
        })
        .collect()
}

/// A path without its extension.
fn stem(path: &str) -> &str {
    let name = path.rfind(['/', '\\']).map_or(0, |slash| slash + 1);
    match path[name..].rfind('.') {
        Some(dot) if dot > 0 => &path[..name + dot],
        _ => path,
    }
}

/// A name for one line of text. A colon would make a line of an atlas a property.
pub(super) fn plain(name: &str) -> String {
    let fits = |c: char| match c {
        '\\' => '/',
        ':' => '_',
        c if c.is_control() => '_',
        c => c,
    };
    let name: String = name.trim().chars().map(fits).collect();
    match name.is_empty() {
        true => "mesh".to_owned(),
        false => name,
    }
}

/// Names that have been given.
#[derive(Default)]
pub(super) struct Taken(HashSet<String>);

impl Taken {
    /// The name, with a number behind it if it is taken.
    pub(super) fn take(&mut self, name: String) -> String {
        let mut free = name.clone();
        let mut number = 2;
        while !self.0.insert(free.clone()) {
            free = format!("{name}-{number}");
            number += 1;
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_apart() {
        let paths = [
            "a/tree.png",
            "a/tree.webp",
            "b/tree.png",
            "a/tree",
            ".x.png",
            ".png",
        ];
        let names = unique_names(&paths.map(str::to_owned));
        let expected = [
            "a/tree.png",
            "a/tree.webp",
            "b/tree",
            "a/tree",
            ".x",
            ".png",
        ];
        assert_eq!(names, expected);
        let names = unique_names(&["a:b.png", "a_b.png", "a_b.jpg"].map(str::to_owned));
        assert_eq!(names, ["a_b.png", "a_b.png-2", "a_b.jpg"]);
    }

    #[test]
    fn names_fit_on_a_line() {
        assert_eq!(plain(" C:\\art\nhero "), "C_/art_hero");
        assert_eq!(plain("\t"), "mesh");
    }
}
