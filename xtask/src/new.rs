//! `new-variant`: the starting file of a variant.

use crate::tool;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};

/// The starting file: a variant that works, called `my-variant`.
const VARIANT: &str = include_str!("../templates/variant.rs");

/// Where the variants are, and the list of them.
const VARIANTS: &str = "kernel/src/livepatch/variants";
const LIST: &str = "kernel/src/livepatch/variants/mod.rs";

/// Most bytes of a variant's name: see [`klp::VariantNote`].
const LONGEST: usize = 28;

/// What Rust takes for no name of a file's module.
const KEYWORDS: &str = "abstract as async await become box break const continue crate do dyn else \
    enum extern false final fn for gen if impl in let loop macro match mod move mut override priv \
    pub ref return self static struct super trait true try type typeof unsafe unsized use virtual \
    where while yield";

/// Writes the starting file of a variant, and says which lines make it known.
///
/// # Errors
/// When the name is none or is taken, or the file can't be written; nothing has
/// changed then.
pub fn variant(name: &str) -> Result<()> {
    print!("{}", variant_in(tool::workspace(), name)?);
    Ok(())
}

/// The same in a checkout. Returns what there is to say.
fn variant_in(workspace: &Path, name: &str) -> Result<String> {
    check(name)?;
    let ident = name.replace('-', "_");
    let list = workspace.join(LIST);
    let list = String::from_utf8(tool::read_file(&list)?).context(LIST)?;
    let file: PathBuf = [VARIANTS, &format!("{ident}.rs")].iter().collect();
    let path = workspace.join(&file);
    ensure!(
        !path.exists(),
        "`{name}` is taken: there is {}",
        file.display()
    );
    ensure!(
        !uses(&list, &ident),
        "`{name}` is taken: `{ident}` means something else in {LIST}"
    );
    let text = VARIANT
        .replace("my-variant", name)
        .replace("my_variant", &ident);
    tool::replace_file(&path, text.as_bytes())?;
    Ok(format!(
        "{} is written. Two lines in {LIST} make it known:\n  \
         mod {ident};                 beside the others\n  \
         &{ident}::VARIANT,           in VARIANTS\n",
        file.display()
    ))
}

/// Whether a name is lower-case words with hyphens between them.
fn check(name: &str) -> Result<()> {
    ensure!(!name.is_empty(), "it needs a name, such as NAME=my-variant");
    let starts = |word: &str| word.starts_with(|c: char| c.is_ascii_lowercase());
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_word = |word: &str| !word.is_empty() && word.chars().all(plain);
    ensure!(
        starts(name) && name.split('-').all(is_word),
        "`{name}` is no name: it takes lower-case letters and digits, a letter first, and single \
         hyphens between words, such as my-variant"
    );
    ensure!(
        name.len() <= LONGEST,
        "`{name}` is too long a name: it has {} letters, and {LONGEST} are the most",
        name.len()
    );
    ensure!(
        !KEYWORDS.split_whitespace().any(|word| word == name),
        "`{name}` is no name: it is a word of Rust's"
    );
    Ok(())
}

/// Whether a word stands in code, comments aside.
fn uses(code: &str, word: &str) -> bool {
    let lines = code.lines().map(str::trim_start);
    let mut code = lines.filter(|line| !line.starts_with("//"));
    code.any(|line| {
        line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .any(|found| found == word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checkout that has only the list.
    fn checkout(name: &str) -> PathBuf {
        let path = tool::target_dir().join("tests").join("new").join(name);
        let _ = std::fs::remove_dir_all(&path);
        let list = "//! Some fine words.\nmod mini_frame;\nuse core::fmt;\n";
        tool::replace_file(&path.join(LIST), list.as_bytes()).unwrap();
        path
    }

    fn files(workspace: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(workspace.join(VARIANTS)).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.unwrap().file_name().into_string().unwrap()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_written_under_the_name() {
        let workspace = checkout("good");
        let said = variant_in(&workspace, "words-2").unwrap();
        assert!(said.contains("variants/words_2.rs is written"), "{said}");
        assert!(said.contains("  mod words_2; "), "{said}");
        assert!(said.contains("  &words_2::VARIANT, "), "{said}");
        assert_eq!(files(&workspace), ["mod.rs", "words_2.rs"]);
        let path = workspace.join(VARIANTS).join("words_2.rs");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("name: \"words-2\"") && text.contains("words_2_hand_off:"));
        assert!(!text.contains("my-") && !text.contains("my_"), "{text}");
        // A second time it is taken.
        let error = variant_in(&workspace, "words-2").unwrap_err().to_string();
        assert!(
            error.starts_with("`words-2` is taken: there is "),
            "{error}"
        );
    }

    #[test]
    fn a_bad_name_is_refused_and_nothing_is_written() {
        let workspace = checkout("bad");
        let long = "a".repeat(LONGEST + 1);
        for (name, reason) in [
            ("", "it needs a name"),
            ("Mine", "is no name: it takes lower-case"),
            ("my_variant", "is no name: it takes lower-case"),
            ("-mine", "is no name: it takes lower-case"),
            ("mine-", "is no name: it takes lower-case"),
            ("my--variant", "is no name: it takes lower-case"),
            ("2nd", "is no name: it takes lower-case"),
            ("../mine", "is no name: it takes lower-case"),
            ("my variant", "is no name: it takes lower-case"),
            (long.as_str(), "is too long a name: it has 29 letters"),
            ("loop", "is a word of Rust's"),
            ("fmt", "`fmt` means something else in kernel/"),
            ("mini-frame", "`mini_frame` means something else"),
        ] {
            let error = variant_in(&workspace, name).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert_eq!(files(&workspace), ["mod.rs"]);
        // What only a comment says is free.
        variant_in(&workspace, "fine").unwrap();
    }
}
