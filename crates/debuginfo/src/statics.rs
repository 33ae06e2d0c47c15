//! Which statics are of another type than before.

use crate::same::Same;
use crate::types::{Static, Types};
use std::collections::HashMap;
use std::fmt;

/// A static that both builds have, and that is of another type: what it holds can't be read
/// as that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticChange {
    /// The symbol's name.
    pub linkage_name: String,
    /// The path.
    pub path: String,
    /// The name of the type that it was of.
    pub old: String,
    /// The name of the type that it is of.
    pub new: String,
}

/// The statics of a linkage name that both have, of another type, in the order of their
/// paths. One whose type has the same name, or another name alone, is not among them:
/// [`compare`](crate::compare()) tells whether the type itself has another layout.
#[must_use]
pub fn compare_statics(old: &Types, new: &Types) -> Vec<StaticChange> {
    let olds = old.statics().iter();
    let olds: HashMap<&str, &Static> = olds.map(|one| (&*one.linkage_name, one)).collect();
    let mut same = Same::new(old, new);
    let mut changes: Vec<_> = new
        .statics()
        .iter()
        .filter_map(|one| {
            let before = olds.get(&*one.linkage_name)?;
            (!same.is_same(before.ty, one.ty)).then(|| StaticChange {
                linkage_name: one.linkage_name.clone(),
                path: one.path.clone(),
                old: old.get(before.ty).name.clone(),
                new: new.get(one.ty).name.clone(),
            })
        })
        .collect();
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes.dedup();
    changes
}

impl fmt::Display for StaticChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, old, new, .. } = self;
        write!(f, "{path}: it is of type {new} and was of {old}")
    }
}
