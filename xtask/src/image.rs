//! The images of the kernel: what each is made from, and which one does what. The file of
//! an image has its name, so that a path says which it is.

use crate::tool;
use anyhow::{Context, Result};
pub use bootargs::Image;
use bootargs::Mode;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// All images, from the smallest.
pub const ALL: [Image; 3] = [Image::Klplab, Image::Lab, Image::Test];

/// What goes into every image, folders and files of the workspace. This program is one of
/// them: it writes the symbol table, and proves and stamps the modules.
const SOURCES: [&str; 10] = [
    ".cargo",
    "boot",
    "crates",
    "kernel",
    "patches",
    "xtask",
    "Cargo.toml",
    "Cargo.lock",
    "linker.ld",
    "rust-toolchain.toml",
];

/// The package that has an image as its executable.
#[must_use]
pub fn package(image: Image) -> &'static str {
    match image {
        Image::Klplab => "kernel",
        Image::Lab => "lab",
        Image::Test => "selftest",
    }
}

/// What of the workspace goes into an image, whole folders and single files.
pub fn sources(image: Image) -> impl Iterator<Item = &'static str> {
    // Each image is what those below it are, and a package in a folder of its name.
    let larger = [Image::Lab, Image::Test].into_iter();
    let larger = larger.filter(move |one| *one <= image).map(package);
    SOURCES.into_iter().chain(larger)
}

/// The smallest image that can do what boot arguments say. What makes no sense is any
/// image's to complain of.
#[must_use]
pub fn for_boot(append: &str) -> Image {
    bootargs::parse(append).map_or(Image::Klplab, |arguments| arguments.image())
}

/// Whether boot arguments ask for what a person looks at: the demonstration or the shell.
#[must_use]
pub fn shows(append: &str) -> bool {
    bootargs::parse(append).is_ok_and(|arguments| {
        matches!(arguments.mode, Mode::Run | Mode::Shell) && arguments.crash.is_none()
    })
}

/// Whether boot arguments ask for a guest that goes on until it is told, or for hours: one that live
/// patches may be meant for. The demonstration has ended before there is one.
#[must_use]
pub fn lives(append: &str) -> bool {
    bootargs::parse(append).is_ok_and(|arguments| {
        matches!(arguments.mode, Mode::Shell | Mode::Soak) && arguments.crash.is_none()
    })
}

/// Where an image is when it is ready to boot.
#[must_use]
pub fn path(image: Image) -> PathBuf {
    file(image.word())
}

/// Where a kernel of a name is when it is ready to boot.
#[must_use]
pub fn file(name: impl AsRef<OsStr>) -> PathBuf {
    let folder = tool::target_dir().join("klplab");
    folder.join(name.as_ref()).with_extension("elf")
}

/// Which image a file is; another kernel counts as the smallest.
#[must_use]
pub fn of(kernel: &Path) -> Image {
    let name = kernel.file_stem().and_then(|name| name.to_str());
    name.and_then(Image::from_word).unwrap_or_default()
}

/// An image by its name, as it is typed.
///
/// # Errors
/// When there is none of that name; the message lists those there are.
pub fn named(name: &str) -> Result<Image> {
    Image::from_word(name).with_context(|| {
        format!(
            "there is no image `{name}`: there are {}",
            Image::WORDS.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_arguments_choose_the_image() {
        for (append, image) in [
            ("", Image::Klplab),
            ("mode=shell -- selftest", Image::Klplab),
            ("variant=pcrel mode=matrix", Image::Lab),
            ("mode=step function=leaf", Image::Lab),
            ("mode=soak", Image::Test),
            ("crash=panic", Image::Test),
            ("mode=walk", Image::Klplab),
        ] {
            assert_eq!(for_boot(append), image, "{append}");
        }
    }

    #[test]
    fn a_file_says_which_image_it_is() {
        for image in ALL {
            assert_eq!(of(&path(image)), image);
            assert_eq!(named(image.word()).unwrap(), image);
        }
        assert_eq!(of(Path::new("/t/another")), Image::Klplab);
        let error = named("lab").unwrap_err().to_string();
        assert!(
            error.ends_with("klplab, klplab-lab, klplab-test"),
            "{error}"
        );
    }

    #[test]
    fn no_test_goes_into_a_smaller_image() {
        let has = |image, folder| sources(image).any(|one| one == folder);
        assert!(has(Image::Test, "selftest") && has(Image::Test, "lab"));
        assert!(has(Image::Lab, "lab") && !has(Image::Lab, "selftest"));
        assert!(!has(Image::Klplab, "lab") && !has(Image::Klplab, "selftest"));
        for source in sources(Image::Test) {
            assert!(tool::workspace().join(source).exists(), "{source}");
        }
    }
}
