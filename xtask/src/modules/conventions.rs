//! The return conventions that modules are built in.

use crate::modules::initrd;
use crate::variants;
use anyhow::{Context, Error, Result};
use klp::Convention;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The one that there always is: the kernel's default.
pub const USUAL: Convention = Convention::USUAL;

/// What `mode=` of the boot arguments looks at every convention.
const MODES_WITH_ALL: [&str; 5] = ["bench", "explore", "matrix", "selftest", "shell"];

/// A set of conventions: the usual one, and perhaps others. One of them may be that
/// of a variant, which only a kernel can tell.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Conventions {
    /// Others than the usual one.
    others: BTreeSet<Convention>,
    /// The name of a variant, if there is one of that name.
    variant: Option<String>,
}

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
    /// `variant=` names, or all of them, in a mode that compares them; of those, the
    /// matrix can do with one. What makes no sense is the kernel's to complain of.
    #[must_use]
    pub fn for_boot(append: &str) -> Conventions {
        let words = append.split_whitespace();
        let words = words.filter_map(|word| word.split_once('='));
        let mut wanted = Conventions::usual();
        let mut mode = "";
        for (key, value) in words {
            match key {
                "mode" => mode = value,
                "variant" => wanted.variant = Some(value.into()),
                _ => {}
            }
        }
        let is_narrow = mode == "matrix" && wanted.variant.is_some();
        if MODES_WITH_ALL.contains(&mode) && !is_narrow {
            return Conventions::all();
        }
        wanted
    }

    /// The same for a kernel with these variants: no variant is left open. One that
    /// there is not adds nothing.
    #[must_use]
    pub fn resolved(mut self, variants: &[(String, Convention)]) -> Conventions {
        if let Some(name) = self.variant.take() {
            let found = variants.iter().find(|(known, _)| *known == name);
            let other = found.map(|(_, convention)| *convention);
            self.others.extend(other.filter(|one| *one != USUAL));
        }
        self
    }

    /// The same for a kernel, by its file. Where there is none that can be read, the
    /// variant adds nothing.
    #[must_use]
    pub fn resolved_by(&self, kernel: &Path) -> Conventions {
        let variants = match self.variant {
            Some(_) => variants::of(kernel).unwrap_or_default(),
            None => Vec::new(),
        };
        self.clone().resolved(&variants)
    }

    /// The usual one first, then the others by number; without that of a variant that
    /// was not [`resolved`](Self::resolved).
    pub fn iter(&self) -> impl Iterator<Item = Convention> + '_ {
        [USUAL].into_iter().chain(self.others.iter().copied())
    }

    /// Where the initrd with modules of these conventions is, beside the kernel.
    /// Each set has a file of its own, since a guest may be reading another.
    #[must_use]
    pub fn initrd(&self, kernel: &Path) -> PathBuf {
        kernel.with_extension(self.resolved_by(kernel).extension())
    }

    /// What that file is called behind the kernel's name, of a set that leaves no variant
    /// open.
    fn extension(&self) -> String {
        let mut name = String::from(initrd::STEM);
        if *self == Conventions::all() {
            name += "-all";
        } else {
            for convention in &self.others {
                name = name + "-" + convention.name();
            }
        }
        name + ".tar"
    }
}

impl FromIterator<Convention> for Conventions {
    fn from_iter<I: IntoIterator<Item = Convention>>(conventions: I) -> Conventions {
        let others = conventions.into_iter().filter(|one| *one != USUAL);
        Conventions {
            others: others.collect(),
            variant: None,
        }
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
        let variants = [
            ("epilogue", Convention::Epilogue),
            ("epilogue-as-posted", Convention::AsPosted),
            ("livepatch-stack", Convention::Plain),
            ("mini-frame", Convention::Plain),
            ("pcrel", Convention::Pcrel),
            ("shared-toc", Convention::Plain),
        ]
        .map(|(name, convention)| (name.to_owned(), convention));
        for (append, needed) in [
            ("", ""),
            ("mode=run log=debug", ""),
            ("variant=epilogue", ""),
            ("variant=missing mode=echo", ""),
            ("variants=pcrel", ""),
            ("log=info variant=mini-frame", "-plain"),
            ("variant=livepatch-stack", "-plain"),
            ("variant=shared-toc", "-plain"),
            ("variant=pcrel", "-pcrel"),
            ("variant=epilogue-as-posted", "-as-posted"),
            ("variant=pcrel mode=selftest", "-all"),
            ("mode=matrix", "-all"),
            ("mode=matrix variant=pcrel case=r2-*", "-pcrel"),
            ("variant=shared-toc mode=matrix", "-plain"),
            ("variant=missing mode=matrix", ""),
        ] {
            let needs = Conventions::for_boot(append).resolved(&variants);
            assert_eq!(needs.extension(), format!("initrd{needed}.tar"), "{append}");
        }
        // Without a kernel, it is not known what a variant asks for.
        let initrd = Conventions::for_boot("variant=pcrel").initrd(Path::new("a/kernel.elf"));
        assert_eq!(initrd, Path::new("a/kernel.initrd.tar"));
    }

    #[test]
    fn sets_have_names_and_the_usual_one_comes_first() {
        let set: Conventions = "pcrel,plain".parse().unwrap();
        let names: Vec<_> = set.iter().map(Convention::name).collect();
        assert_eq!(names, ["epilogue", "plain", "pcrel"]);
        assert_eq!(
            set.initrd(Path::new("k")),
            Path::new("k.initrd-plain-pcrel.tar")
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
