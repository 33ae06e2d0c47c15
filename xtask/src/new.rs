//! `new-variant` and `new-patch`: starting files.

use crate::tool;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

/// The starting file: a variant that works, called `my-variant`.
const VARIANT: &str = include_str!("../templates/variant.rs");

/// The starting files of a patch: a replacement that works, called `my_patch`.
const PATCH: &str = include_str!("../templates/patch.rs");
const MANIFEST: &str = include_str!("../templates/patch.toml");

/// The same with the replacement in C: beside the manifest, which gets a build script.
const PATCH_FOR_C: &str = include_str!("../templates/patch_c.rs");
const BUILD_FOR_C: &str = include_str!("../templates/patch_c_build.rs");
const PATCH_IN_C: &str = include_str!("../templates/patch.c");
const NEEDS_FOR_C: &str = "\n[build-dependencies]\ncpatch.workspace = true\n";

/// What a patch's replacement functions are written in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Language {
    /// Rust.
    Rust,
    /// C: docs/c-patches.md.
    C,
}

/// Where the patches are.
const PATCHES: &str = "patches";

/// Where the variants are, and the list of them.
const VARIANTS: &str = "kernel/livepatch/src/variants";
const LIST: &str = "kernel/livepatch/src/variants/mod.rs";

/// Most bytes of a name: of a variant's, see [`klp::VariantNote`].
const LONGEST: usize = 28;

/// What Rust takes for no name of a file's module.
const KEYWORDS: &str = "abstract as async await become box break const continue crate do dyn else \
    enum extern false final fn for gen if impl in let loop macro match mod move mut override priv \
    pub ref return self static struct super trait true try type typeof unsafe unsized use virtual \
    where while yield";

/// Crates that every crate knows.
const CRATES: &str = "alloc core proc_macro std test";

/// Writes the starting file of a variant, and says which lines make it known.
///
/// # Errors
/// When the name is none or is taken, or the file can't be written; nothing has
/// changed then.
pub fn variant(name: &str) -> Result<()> {
    print!("{}", variant_in(tool::workspace(), name)?);
    Ok(())
}

/// Writes the starting files of a patch, and lets cargo know of it.
///
/// # Errors
/// When the name is none or is taken, or a file can't be written; nothing has changed
/// then.
pub fn patch(name: &str, language: Language) -> Result<()> {
    let workspace = tool::workspace();
    let said = patch_in(workspace, name, language)?;
    // Every build insists on the lock file, and the patch is not in it yet.
    let mut cargo = tool::cargo();
    cargo.args(["update", "--workspace", "--offline", "--quiet"]);
    if !tool::status(&mut cargo)?.success() {
        let _ = std::fs::remove_dir_all(workspace.join(PATCHES).join(name));
        bail!("cargo did not take `{name}` into Cargo.lock (its reason is above)");
    }
    print!("{said}");
    Ok(())
}

/// The same in a checkout, but for cargo. Returns what there is to say.
fn patch_in(workspace: &Path, name: &str, language: Language) -> Result<String> {
    check(name, '_')?;
    let folder = workspace.join(PATCHES).join(name);
    ensure!(
        !folder.exists(),
        "`{name}` is taken: there is {PATCHES}/{name}"
    );
    let lock = String::from_utf8(tool::read_file(&workspace.join("Cargo.lock"))?)?;
    let line = format!("name = \"{name}\"");
    ensure!(
        !lock.lines().any(|one| one == line) && !CRATES.split_whitespace().any(|one| one == name),
        "`{name}` is taken: a crate is called so"
    );
    let manifest = match language {
        Language::Rust => MANIFEST.to_owned(),
        Language::C => [MANIFEST, NEEDS_FOR_C].concat(),
    };
    let in_c = format!("src/{name}.c");
    let files: &[(&str, &str)] = match language {
        Language::Rust => &[("Cargo.toml", &manifest), ("src/lib.rs", PATCH)],
        Language::C => &[
            ("Cargo.toml", &manifest),
            ("build.rs", BUILD_FOR_C),
            ("src/lib.rs", PATCH_FOR_C),
            (&in_c, PATCH_IN_C),
        ],
    };
    let written = files.iter().try_for_each(|(file, text)| {
        let text = text.replace("my_patch", name);
        tool::replace_file(&folder.join(file), text.as_bytes())
    });
    if written.is_err() {
        let _ = std::fs::remove_dir_all(&folder);
    }
    written?;
    let main = match language {
        Language::Rust => "src/lib.rs",
        Language::C => &in_c,
    };
    Ok(format!(
        "{PATCHES}/{name}/{main} is written: a patch of `balance`. See it at work: make shell, then\n  \
         call balance 3; enable {name}; call balance 3\n"
    ))
}

/// The same as [`variant`] in a checkout. Returns what there is to say.
fn variant_in(workspace: &Path, name: &str) -> Result<String> {
    check(name, '-')?;
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

/// Whether a name is lower-case words with this between them.
fn check(name: &str, between: char) -> Result<()> {
    ensure!(
        !name.is_empty(),
        "it needs a name, such as NAME=my{between}own"
    );
    let starts = |word: &str| word.starts_with(|c: char| c.is_ascii_lowercase());
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_word = |word: &str| !word.is_empty() && word.chars().all(plain);
    ensure!(
        starts(name) && name.split(between).all(is_word),
        "`{name}` is no name: it takes lower-case letters and digits, a letter first, and a \
         single `{between}` between words, such as my{between}own"
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

    #[test]
    fn a_patch_is_a_crate_of_its_own() {
        let workspace = checkout("patch");
        let lock = "[[package]]\nname = \"klp\"\nversion = \"0.1.0\"\n";
        tool::replace_file(&workspace.join("Cargo.lock"), lock.as_bytes()).unwrap();
        let said = patch_in(&workspace, "my_own", Language::Rust).unwrap();
        assert!(
            said.starts_with("patches/my_own/src/lib.rs is written"),
            "{said}"
        );
        let folder = workspace.join("patches/my_own");
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let code = std::fs::read_to_string(folder.join("src/lib.rs")).unwrap();
        assert!(manifest.contains("name = \"my_own\"") && code.contains("name: \"my_own\""));
        assert!(!(manifest + &code).contains("my_patch"));
        for (name, reason) in [
            ("my_own", "is taken: there is patches/my_own"),
            ("klp", "is taken: a crate is called so"),
            ("core", "is taken: a crate is called so"),
            ("my-own", "is no name: it takes lower-case"),
            ("../own", "is no name: it takes lower-case"),
            ("", "it needs a name, such as NAME=my_own"),
        ] {
            let error = patch_in(&workspace, name, Language::Rust)
                .unwrap_err()
                .to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert_eq!(
            std::fs::read_dir(workspace.join("patches"))
                .unwrap()
                .count(),
            1
        );
    }

    #[test]
    fn a_patch_in_c_has_a_build_script() {
        let workspace = checkout("patch-in-c");
        tool::replace_file(&workspace.join("Cargo.lock"), b"").unwrap();
        let said = patch_in(&workspace, "my_own", Language::C).unwrap();
        assert!(
            said.starts_with("patches/my_own/src/my_own.c is written"),
            "{said}"
        );
        let read = |file: &str| {
            let path = workspace.join("patches/my_own").join(file);
            std::fs::read_to_string(path).unwrap()
        };
        assert!(read("Cargo.toml").contains("[build-dependencies]\ncpatch.workspace = true\n"));
        assert!(read("build.rs").contains("\"src/my_own.c\""));
        assert!(read("src/lib.rs").contains("name: \"my_own\""));
        assert!(read("src/my_own.c").contains("KLP_REPLACEMENT("));
    }
}
