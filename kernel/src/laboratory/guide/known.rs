//! Functions that can be stepped: what to call them with, and who patches them.
//!
//! A function that is called with what it does not expect may do anything, so only
//! those in this table are called. One more is one more row.

use crate::module;
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
}

const fn row(path: &'static str, module: &'static str, arguments: &'static [u64]) -> Known {
    Known {
        path,
        module,
        hidden: false,
        arguments,
    }
}

const fn hidden(path: &'static str, module: &'static str, arguments: &'static [u64]) -> Known {
    Known {
        path,
        module,
        hidden: true,
        arguments,
    }
}

const MANY: &[u64] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
];

/// All of them. The first is the default.
pub static KNOWN: &[Known] = &[
    row("kernel::victims::leaf", "demo", &[5]),
    row("kernel::victims::sum12", "demo", MANY.split_at(12).0),
    row("c_counts", "demo", &[5]),
    row("kernel::victims::divide", "demo", &[17, 5]),
    row("kernel::victims::find", "demo", &[9, 5]),
    hidden("kernel::victims::report", "demo", &[5]),
    row("kernel::victims::nothing", "demo", &[]),
    row("kernel::victims::is_even", "demo", &[6]),
    row("kernel::bank::balance", "two_percent", &[0, 2]),
    row(
        "kernel::laboratory::explore::victims::value",
        "explore",
        &[5],
    ),
    row("kernel::laboratory::victims::counted", "cases", &[41]),
    row("lab_counted", "cases", &[41]),
    row("lab_leaf", "cases", &[41]),
    row(
        "kernel::laboratory::victims::sum8",
        "cases",
        MANY.split_at(8).0,
    ),
    row(
        "kernel::laboratory::victims::sum9",
        "cases",
        MANY.split_at(9).0,
    ),
    row(
        "kernel::laboratory::victims::sum10",
        "cases",
        MANY.split_at(10).0,
    ),
    row("kernel::laboratory::victims::sum20", "cases", MANY),
    row("lab_variadic", "cases", MANY.split_at(12).0),
    row("lab_variadic_list", "cases", &[5, 1, 2, 3, 4, 5]),
    row("lab_small", "cases", &[1, 2]),
    row("lab_medium", "cases", &[1, 2, 3]),
    row("lab_large", "cases", MANY.split_at(10).0),
    hidden("lab_hidden", "cases", &[1, 2]),
    row("kernel::laboratory::victims::pair", "cases", &[9, 4]),
    row("kernel::laboratory::victims::calls_kernel", "cases", &[41]),
    row("kernel::laboratory::victims::calls_patched", "cases", &[41]),
    row("kernel::laboratory::victims::second", "cases", &[41]),
];

/// The function with this path, or with this for the last part of its path.
pub fn find(name: &str) -> Option<&'static Known> {
    let last = |known: &&Known| super::paths::last(known.path) == name;
    let mut all = KNOWN.iter();
    all.find(|known| known.path == name)
        .or_else(|| KNOWN.iter().find(last))
}

/// Those whose module is in the initrd, in the convention that is in use, by their
/// shortest names.
pub fn names() -> Vec<&'static str> {
    let files = module::files_for_current();
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
