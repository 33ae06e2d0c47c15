//! Types that are laid out otherwise, and values of them that may live in the running kernel.
//!
//! A value that old code has made is read by new code. On a stack it is no matter: a thread
//! switches when none of the functions that are replaced is on its stack. In a static or on the
//! heap it stays what it is.

use debuginfo::{ChangeKind, How, TypeChange, Types, compare, compare_statics, statics_of};
use kdiff::{Build, Comparison, Plan, Refusal};

/// What is to be said of types.
#[derive(Debug, Default)]
pub struct Judged {
    /// What stands against a patch.
    pub refused: Vec<String>,
    /// What should be known of it.
    pub notes: Vec<String>,
}

/// Judges the types of the units that differ. A static that the plan refuses for its size is not
/// refused again for its type.
#[must_use]
pub fn judge(comparison: &Comparison, old: &Build<'_>, new: &Build<'_>, plan: &Plan) -> Judged {
    let units = comparison.units.iter();
    let before = units.clone().map(|&(was, _)| old.object(was));
    let after = units.map(|&(_, is)| new.object(is));
    let (before, after) = (read(before), read(after));
    let mut judged = Judged::default();
    let updates = |path: &str| plan.hooks.iter().any(|hook| hook.updates(path));
    let is_told = |symbol: &str| plan.refused.iter().any(|why| is_size_of(why, symbol));
    for change in compare(&before, &after) {
        if change.follows.is_some() || updates(&change.name) {
            continue;
        }
        match change.kind {
            ChangeKind::VariantAdded => judged.notes.push(format!(
                "{change}. Old code does not know it: a thread that has not switched must not meet one"
            )),
            ChangeKind::Layout => match home(&before, &change) {
                Some(home) => judged.refused.push(format!(
                    "{change}. {home}: new code would read them wrongly. Put what is new into a value of its own \
                     (`klp::shadow`), say with `klp::hook!` how they are brought up to date, or boot the new kernel"
                )),
                // Their numbers are the compiler's: another one may have the number now.
                None if change.name.contains("{closure_env#") => {}
                None => judged.notes.push(format!("{change}. Its values are on stacks alone")),
            },
        }
    }
    for change in compare_statics(&before, &after) {
        if !updates(&change.path) && !is_told(&change.linkage_name) {
            judged.refused.push(format!(
                "{change}. Give the new one another name, or boot the new kernel"
            ));
        }
    }
    judged
}

/// Whether it is a static's size that stands against a patch. LLVM may have put a number behind the
/// symbol's name.
fn is_size_of(why: &Refusal, symbol: &str) -> bool {
    let Refusal::Size { name, .. } = why else {
        return false;
    };
    let rest = name.strip_prefix(symbol);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The types of objects. An assembler's object has none, nor has one that was built without
/// them: these are left out.
fn read<'o>(objects: impl Iterator<Item = &'o [u8]> + Clone) -> Types {
    Types::read_all(objects.clone()).unwrap_or_else(|_| {
        let with_types = objects.filter(|object| Types::read(object).is_ok());
        Types::read_all(with_types).unwrap_or_default()
    })
}

/// Where values of a type may be, other than on stacks.
fn home(types: &Types, change: &TypeChange) -> Option<String> {
    let statics = statics_of(types, &change.name);
    if let Some(one) = statics.iter().find(|one| one.how == How::ByValue) {
        return Some(format!(
            "The running kernel has values of it in {}",
            one.path
        ));
    }
    if let Some(one) = statics.first() {
        return Some(format!(
            "The running kernel may have values of it, by {}",
            one.path
        ));
    }
    // What is on the heap is held by something of alloc's with the type in its name.
    let holds = |name: &str| name.starts_with("alloc::") && name.contains(&*change.name);
    let holder = types.iter().find(|(_, ty)| holds(&ty.name));
    holder.map(|(_, ty)| {
        format!(
            "The running kernel may have values of it on the heap, by {}",
            ty.name
        )
    })
}
