//! What a kernel's file is linked from beside the archives that are compared.
//!
//! Compiler, flags, target, profile and dependencies are parts of the archives' names, so a difference
//! there is told by these.

use crate::image::{self, Image};
use std::collections::BTreeMap;

/// Where the linker puts things, and what it names.
pub const SCRIPT: &str = "linker.ld";

/// The files of an image that differ, though nothing of them is in an archive. `old` and `new` are all
/// sources, by path.
#[must_use]
pub fn differing(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
    image: Image,
) -> Vec<String> {
    // The compiler puts an executable's own object into no archive.
    let own = format!("{}/src/main.rs", image::package(image));
    let differs = |name: &String| {
        let [before, after] =
            [old, new].map(|all| all.get(name).map(|text| without_comments(text)));
        before != after
    };
    [SCRIPT.to_owned(), own]
        .into_iter()
        .filter(differs)
        .collect()
}

/// The words of a text, without comments of C's kind and lines that are comments.
fn without_comments(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let mut rest = &*lines.collect::<Vec<_>>().join("\n");
    let mut code = String::new();
    while let Some((before, comment)) = rest.split_once("/*") {
        code += before;
        code.push(' ');
        rest = comment.split_once("*/").map_or("", |(_, behind)| behind);
    }
    code += rest;
    code.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(script: &str, main: &str, library: &str) -> BTreeMap<String, String> {
        let texts = [
            (SCRIPT, script),
            ("lab/src/main.rs", main),
            ("lab/src/lib.rs", library),
        ];
        texts
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect()
    }

    #[test]
    fn what_is_in_no_archive_is_compared_by_its_text() {
        let old = sources("/* a */ BASE = 1;", "// a\nfn main() {}\n", "a");
        let found = |new: &BTreeMap<String, String>, image| differing(&old, new, image);
        let same = sources(
            "BASE = /* other\n words */\n1;",
            "//! b\n\nfn main() {}",
            "b",
        );
        assert_eq!(found(&same, Image::Lab), <[&str; 0]>::default());
        let other = sources("BASE = 2;", "fn main() { b() }", "b");
        assert_eq!(found(&other, Image::Lab), [SCRIPT, "lab/src/main.rs"]);
        // It is another image's.
        assert_eq!(found(&other, Image::Klplab), [SCRIPT]);
        assert_eq!(found(&BTreeMap::new(), Image::Klplab), [SCRIPT]);
    }
}
