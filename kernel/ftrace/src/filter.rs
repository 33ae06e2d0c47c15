//! Which functions an ops is for.

use super::Site;
use alloc::{collections::TryReserveError, format, string::String, vec::Vec};
use core::fmt::{self, Write};

/// Names of functions, as paths or as globs with `*`. An empty list of wanted
/// names means all functions; unwanted ones are left out of those.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    wanted: Vec<String>,
    unwanted: Vec<String>,
}

impl Filter {
    /// All functions.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            wanted: Vec::new(),
            unwanted: Vec::new(),
        }
    }

    /// The functions that one of these names or globs stands for.
    #[must_use]
    pub fn only(names: &[&str]) -> Self {
        let wanted = names.iter().map(|&name| String::from(name)).collect();
        Self {
            wanted,
            unwanted: Vec::new(),
        }
    }

    /// Without the functions that `name` stands for.
    #[must_use]
    pub fn but_not(mut self, name: &str) -> Self {
        self.unwanted.push(name.into());
        self
    }

    /// The names and globs that are wanted.
    #[must_use]
    pub fn wanted(&self) -> &[String] {
        &self.wanted
    }

    /// The names and globs that are not.
    #[must_use]
    pub fn unwanted(&self) -> &[String] {
        &self.unwanted
    }

    /// The places in `sites` of the functions that pass.
    ///
    /// # Errors
    /// When there is no memory for the answer.
    pub fn choose(&self, sites: &[Site]) -> Result<Vec<usize>, TryReserveError> {
        let mut chosen = Vec::new();
        chosen.try_reserve_exact(sites.len())?;
        if self.wanted.is_empty() && self.unwanted.is_empty() {
            // No names to look up: that is most of the time for the rest.
            chosen.extend(0..sites.len());
        } else {
            chosen.extend((0..sites.len()).filter(|&place| self.admits(&sites[place])));
        }
        Ok(chosen)
    }

    /// Whether a site's function passes.
    fn admits(&self, site: &Site) -> bool {
        if !self.wanted.is_empty() && !self.wanted.iter().any(|name| may_be(name, site)) {
            return false;
        }
        let path = format!("{}", site.path());
        let matches = |name: &String| glob::matches(name, &path);
        (self.wanted.is_empty() || self.wanted.iter().any(matches))
            && !self.unwanted.iter().any(matches)
    }
}

/// Whether a site's path begins as a name does up to its first `*`. Most paths of a table differ early
/// on, and no more of them is spelt out, for which demangling takes most of the time.
fn may_be(name: &str, site: &Site) -> bool {
    let start = name.split('*').next().unwrap_or_default();
    start.is_empty() || write!(Start(start), "{}", site.path()).is_ok()
}

/// What is still to be written of a start; whatever differs from it is an error, so that a formatter stops
/// there.
struct Start<'n>(&'n str);

impl fmt::Write for Start<'_> {
    fn write_str(&mut self, written: &str) -> fmt::Result {
        let rest = self.0.strip_prefix(written);
        let is_over = || written.starts_with(self.0).then_some("");
        self.0 = rest.or_else(is_over).ok_or(fmt::Error)?;
        Ok(())
    }
}
