//! The return conventions that modules are built in.

use crate::modules::initrd;
use anyhow::{Context, Error, Result};
use klp::Convention;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The one that there always is: the kernel's default.
pub const USUAL: Convention = Convention::USUAL;

/// What `mode=` of the boot arguments looks at every convention.
const MODES_WITH_ALL: [&str; 5] = ["bench", "explore", "matrix", "selftest", "shell"];

/// A set of conventions: the usual one, and perhaps others.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Conventions(BTreeSet<Convention>);

impl Conventions {
    /// The usual one alone.
    #[must_use]
    pub fn usual() -> Conventions {
        Conventions::default()
    }

    /// All there are.
    #[must_use]
    pub fn all() -> Conventions {
        Convention::ALL.into_iter().collect()
    }

    /// What a boot with these arguments needs: what the variant asks for that
    /// `variant=` names, or all of them, in a mode that compares them. What makes
    /// no sense is the kernel's to complain of.
    #[must_use]
    pub fn for_boot(append: &str) -> Conventions {
        let words = append.split_whitespace();
        let words = words.filter_map(|word| word.split_once('='));
        let mut wanted = Conventions::usual();
        for (key, value) in words {
            match key {
                "mode" if MODES_WITH_ALL.contains(&value) => return Conventions::all(),
                "variant" => wanted.0.extend(
                    Convention::of_variant(value).filter(|convention| *convention != USUAL),
                ),
                _ => {}
            }
        }
        wanted
    }

    /// The usual one first, then the others by number.
    pub fn iter(&self) -> impl Iterator<Item = Convention> + '_ {
        [USUAL].into_iter().chain(self.0.iter().copied())
    }

    /// Where the initrd with modules of these conventions is, beside the kernel.
    /// Each set has a file of its own, since a guest may be reading another.
    #[must_use]
    pub fn initrd(&self, kernel: &Path) -> PathBuf {
        let mut name = String::from(initrd::STEM);
        if *self == Conventions::all() {
            name += "-all";
        } else {
            for convention in &self.0 {
                name = name + "-" + convention.name();
            }
        }
        kernel.with_file_name(name + ".tar")
    }
}

impl FromIterator<Convention> for Conventions {
    fn from_iter<I: IntoIterator<Item = Convention>>(conventions: I) -> Conventions {
        let others = conventions.into_iter().filter(|one| *one != USUAL);
        Conventions(others.collect())
    }
}

/// `all`, or names with commas between them.
impl FromStr for Conventions {
    type Err = Error;

    fn from_str(text: &str) -> Result<Conventions> {
        if text == "all" {
            return Ok(Conventions::all());
        }
        let named = |name: &str| {
            Convention::from_name(name).with_context(|| {
                let known = Convention::ALL.map(Convention::name).join(", ");
                format!("there is no return convention `{name}`: there are {known}, and all")
            })
        };
        text.split(',').map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_arguments_say_what_is_needed() {
        for (append, needed) in [
            ("", ""),
            ("mode=run log=debug", ""),
            ("variant=epilogue", ""),
            ("variant=nobody mode=echo", ""),
            ("variants=pcrel", ""),
            ("log=info variant=mini-frame", "-plain"),
            ("variant=livepatch-stack", "-plain"),
            ("variant=shared-toc", "-plain"),
            ("variant=pcrel", "-pcrel"),
            ("variant=epilogue-as-posted", "-as-posted"),
            ("variant=pcrel mode=selftest", "-all"),
            ("mode=matrix", "-all"),
        ] {
            let initrd = Conventions::for_boot(append).initrd(Path::new("a/kernel.elf"));
            let expected = format!("a/initrd{needed}.tar");
            assert_eq!(initrd, Path::new(&expected), "{append}");
        }
    }

    #[test]
    fn sets_have_names_and_the_usual_one_comes_first() {
        let set: Conventions = "pcrel,plain".parse().unwrap();
        let names: Vec<_> = set.iter().map(Convention::name).collect();
        assert_eq!(names, ["epilogue", "plain", "pcrel"]);
        assert_eq!(
            set.initrd(Path::new("k")),
            Path::new("initrd-plain-pcrel.tar")
        );
        assert_eq!(
            "epilogue".parse::<Conventions>().unwrap(),
            Conventions::usual()
        );
        assert_eq!("all".parse::<Conventions>().unwrap(), Conventions::all());
        assert_eq!(Conventions::all().iter().count(), Convention::ALL.len());
        for bad in ["", "plain,", "Plain", "none"] {
            let error = bad.parse::<Conventions>().unwrap_err().to_string();
            assert!(error.contains("there are plain, epilogue, "), "{error}");
        }
    }
}
