//! Functions that can be stepped: their arguments, and the modules that replace them.
//!
//! A function that is called with what it does not expect may do anything, so only
//! those in this table are called. One more is one more row.

use alloc::vec::Vec;

/// A function, and a call of it.
#[derive(Debug)]
pub struct Known {
    /// Its path.
    pub path: &'static str,
    /// The module of the initrd that replaces it.
    pub module: &'static str,
    /// It returns a large struct: the first argument leads to room for that.
    pub hidden: bool,
    /// The arguments.
    pub arguments: &'static [u64],
    /// What r3 is then by the old function and by the new one, where they say so each
    /// time: the first has no memory and returns a value in r3.
    pub answers: Option<[u64; 2]>,
}

impl Known {
    /// One more argument, in front: it leads to room for a large struct, which comes
    /// back there.
    const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// What r3 should be, by the old function and by the new one.
    const fn gives(mut self, old: u64, new: u64) -> Self {
        self.answers = Some([old, new]);
        self
    }
}

const fn row(path: &'static str, module: &'static str, arguments: &'static [u64]) -> Known {
    Known {
        path,
        module,
        hidden: false,
        arguments,
        answers: None,
    }
}

const MANY: &[u64] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
];

/// All of them. The first is the default.
pub static KNOWN: &[Known] = &[
    row("lab::targets::leaf", "kinds", &[5]).gives(16, 17),
    row("lab::targets::sum12", "kinds", MANY.split_at(12).0).gives(650, 689),
    row("c_counts", "kinds", &[5]),
    row("lab::targets::divide", "kinds", &[17, 5]).gives(3, 3),
    row("lab::targets::find", "kinds", &[9, 5]).gives(3, 3),
    row("lab::targets::report", "kinds", &[5]).hidden(),
    row("lab::targets::nothing", "kinds", &[]),
    row("lab::targets::is_even", "kinds", &[6]).gives(1, 1),
    row("demo::bank::balance", "two_percent", &[0, 2]).gives(10201, 10404),
    row("lab::explore::functions::value", "explore", &[5]).gives(16, 17),
    row("lab::functions::counted", "cases", &[41]).gives(42, 1000042),
    row("lab_counted", "cases", &[41]).gives(42, 1000042),
    row("lab_leaf", "cases", &[41]).gives(42, 1000042),
    row("lab::functions::sum8", "cases", MANY.split_at(8).0).gives(204, 1000204),
    row("lab::functions::sum9", "cases", MANY.split_at(9).0).gives(285, 1000285),
    row("lab::functions::sum10", "cases", MANY.split_at(10).0).gives(385, 1000385),
    row("lab::functions::sum20", "cases", MANY).gives(2870, 1002870),
    row("lab_variadic", "cases", MANY.split_at(12).0).gives(2, 1000572),
    row("lab_variadic_list", "cases", &[5, 1, 2, 3, 4, 5]).gives(55, 1000055),
    row("lab_small", "cases", &[1, 2]).gives(5, 1000005),
    row("lab_medium", "cases", &[1, 2, 3]).gives(14, 1000014),
    row("lab_large", "cases", MANY.split_at(10).0).gives(385, 1000385),
    row("lab_hidden", "cases", &[1, 2]).hidden(),
    row("lab::functions::pair", "cases", &[9, 4]).gives(13, 1000013),
    row("lab::functions::calls_kernel", "cases", &[41]).gives(42, 1000082),
    row("lab::functions::calls_patched", "cases", &[41]).gives(42, 3000085),
    row("lab::functions::second", "cases", &[41]).gives(43, 1000043),
];

/// The function with this path, or with this for the last part of its path.
pub fn find(name: &str) -> Option<&'static Known> {
    let last = |known: &&Known| super::paths::last(known.path) == name;
    let mut all = KNOWN.iter();
    all.find(|known| known.path == name)
        .or_else(|| KNOWN.iter().find(last))
}

/// Those with a module in the initrd, in the convention that is in use, by their shortest
/// names.
pub fn names() -> Vec<&'static str> {
    let files = loader::files_for_current();
    let mut names: Vec<&'static str> = Vec::new();
    for known in KNOWN {
        if files.iter().any(|file| file.name == known.module) {
            names.push(super::paths::last(known.path));
        }
    }
    names
}

/// Whether a function of the kernel is of a family with one that can be stepped: in the
/// same Rust module, or itself one where there are none. A step calls none of these by
/// itself.
pub fn is_related(path: &str) -> bool {
    KNOWN
        .iter()
        .any(|known| match known.path.rsplit_once("::") {
            Some((family, _)) => {
                (path.strip_prefix(family)).is_some_and(|rest| rest.starts_with("::"))
            }
            None => path == known.path,
        })
}
