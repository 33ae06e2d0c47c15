//! One symbol.

use core::cmp::Ordering;
use core::fmt::{self, Write};

/// What a symbol stands for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Code.
    Function,
    /// Data.
    Object,
}

/// A name and what it stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Symbol<'a> {
    /// The name as the linker knows it: mangled, if it is a Rust name.
    pub name: &'a str,
    /// The address; of a function, its global entry point.
    pub address: u64,
    /// The size in bytes; 0 if unknown, as for a plain label.
    pub size: u64,
    /// Code or data.
    pub kind: Kind,
    /// How many bytes behind the global entry point the local one is: 0 if
    /// they are the same (ELFv2 ABI, section "Symbol values").
    pub local_entry: u8,
    /// Whether the name was visible to other object files.
    pub global: bool,
}

impl<'a> Symbol<'a> {
    /// The name as people write it: a Rust path without the crate's hash, or
    /// the plain name if it is not a Rust one.
    pub fn path(&self) -> impl fmt::Display + use<'a> {
        let name = self.name;
        fmt::from_fn(move |f| write!(f, "{:#}", rustc_demangle::demangle(name)))
    }

    /// Whether `path` is the symbol's path or its linker name.
    #[must_use]
    pub fn is_called(&self, path: &str) -> bool {
        self.name == path || self.has_path(path)
    }

    /// Whether `path` is the symbol's path.
    pub(crate) fn has_path(&self, path: &str) -> bool {
        let mut expected = Expected(path);
        write!(expected, "{}", self.path()).is_ok() && expected.0.is_empty()
    }

    /// Whether `address` belongs to this symbol. To one without a size belongs
    /// its own address alone.
    #[must_use]
    pub fn contains(&self, address: u64) -> bool {
        address == self.address
            || address
                .checked_sub(self.address)
                .is_some_and(|offset| offset < self.size)
    }

    /// The table's order: by address; of several at one address, the one that
    /// [`crate::Table::at`] had best answer with comes first.
    #[inline]
    pub(crate) fn table_order(&self, other: &Self) -> Ordering {
        // Nearly always the addresses decide.
        let rank = |s: &Self| (s.size == 0, s.kind, !s.global);
        self.address.cmp(&other.address).then_with(|| {
            let order = rank(self).cmp(&rank(other));
            order.then_with(|| self.name.cmp(other.name))
        })
    }
}

/// What is still to be written until the text is the expected one. Anything
/// else is an error, so that a formatter stops at the first difference.
struct Expected<'p>(&'p str);

impl fmt::Write for Expected<'_> {
    fn write_str(&mut self, written: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(written).ok_or(fmt::Error)?;
        Ok(())
    }
}
