//! What can't be compared or extracted, and why.

use crate::names::path;
use crate::own_toc::Why;
use crate::plan::form;
use core::fmt;

/// A file of a build that can't be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReadError {
    /// It is no archive, or is cut off.
    Archive {
        /// Which one.
        archive: String,
    },
    /// An object in an archive is none, or is damaged.
    Object {
        /// The archive.
        archive: String,
        /// The object in it.
        member: String,
        /// What was found.
        what: &'static str,
    },
    /// It is no kernel.
    Kernel {
        /// What was found.
        what: &'static str,
    },
}

/// Two builds that can't be compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CompareError {
    /// An archive of the old build is not in the new one, by its name.
    Archive {
        /// Which one.
        archive: String,
    },
}

/// What stands against a patch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// A function that has changed has no place where a call could be diverted.
    NoSite {
        /// By the linker's name.
        function: String,
        /// Why, if it is known.
        why: Option<&'static str>,
    },
    /// A static of the running kernel has another size.
    Size {
        /// By the linker's name.
        name: String,
        /// Bytes in the running kernel.
        old: u64,
        /// Bytes now.
        new: u64,
    },
    /// A static that the running kernel has changed long ago begins with another value.
    Value {
        /// By the linker's name.
        name: String,
    },
    /// A table of constants has other contents.
    Table {
        /// By the linker's name.
        name: String,
    },
    /// A table that the linker collects has one more row.
    Row {
        /// By the linker's name.
        name: String,
        /// The table's section.
        table: String,
    },
    /// The compiler has given a static another form: code of one build would not find what
    /// code of the other has written.
    Form {
        /// By the linker's name, in the new build.
        name: String,
        /// The same in the old build.
        before: String,
    },
    /// Closures have changed that can't be told apart, and the address of one is kept.
    Closures {
        /// Their path, without numbers.
        path: String,
    },
    /// More functions have changed than a patch should have.
    TooMuch {
        /// How many.
        found: usize,
        /// How many may.
        most: usize,
    },
    /// A hook is not as `klp::hook!` makes it.
    Hook {
        /// By the linker's name.
        name: String,
    },
    /// Two hooks have a function called at the same time.
    Hooks,
    /// The module can't be written.
    Write,
    /// A function can't have a TOC pointer of the module's.
    OwnToc {
        /// By the linker's name.
        function: String,
        /// Why.
        why: Why,
    },
    /// What is in no function and no static has changed.
    Rest {
        /// Which unit's.
        unit: String,
        /// Where it is.
        section: String,
        /// The label at or before it.
        name: Option<String>,
    },
    /// Code refers to data without a name that may change, or to a part of a function.
    Unnamed {
        /// Whose.
        unit: String,
        /// Where it is.
        section: String,
    },
    /// What code refers to is in no object.
    Nowhere {
        /// By the linker's name.
        name: String,
    },
    /// No function that has changed is in the running kernel, and no hook has.
    ReachesNothing,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive { archive } => {
                write!(f, "{archive} is no archive of objects, or is damaged")
            }
            Self::Object {
                archive,
                member,
                what,
            } => write!(f, "{member} in {archive} can't be read: {what}"),
            Self::Kernel { what } => write!(f, "it is not a kernel to compare with: {what}"),
        }
    }
}

impl fmt::Display for CompareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive { archive } => write!(
                f,
                "the running kernel was built with {archive}, and this build has none of that name: \
                 compiler, flags, features or version differ. Boot the new kernel instead"
            ),
        }
    }
}

/// The last part of a static's path, with the number that LLVM puts behind it when it splits or
/// shrinks it.
fn called(name: &str) -> String {
    let path = path(name);
    let last = path.rsplit("::").next().unwrap_or_default();
    let number = name.rsplit_once('.').map_or("", |(_, number)| number);
    match number.is_empty() || last.ends_with(number) {
        true => last.to_owned(),
        false => format!("{last}.{number}"),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSite { function, why } => {
                write!(f, "{} has changed and is not to be replaced: ", path(function))?;
                match why {
                    Some(why) => write!(f, "it {why}"),
                    None => f.write_str("it has no nops at its entry, so calls can't be diverted"),
                }?;
                f.write_str(". Boot the new kernel")
            }
            Self::Size { name, old, new } => write!(
                f,
                "{} has {new} bytes now, and the running kernel's has {old}. Keep it as it is and put what is \
                 new into a static of its own, or boot the new kernel",
                path(form(name))
            ),
            Self::Value { name } => write!(
                f,
                "{} begins with another value, and the running kernel's has gone on from the old one. Say with \
                 `klp::hook!` how it is brought up to date, or boot the new kernel",
                path(form(name))
            ),
            Self::Table { name } => write!(
                f,
                "{} is a table of the running kernel, where code reads it at its old place. Let a function that \
                 can be replaced give the new value, or boot the new kernel",
                path(form(name))
            ),
            Self::Row { name, table } => write!(
                f,
                "{} is a new row of the table {table}, which the running kernel has read already. Boot the new kernel",
                path(name)
            ),
            Self::Form { name, before } => write!(
                f,
                "{} is laid out in another way than in the running kernel (as `{}`, and there as `{}`): old and \
                 new code would each have their own. Change it less, or boot the new kernel",
                path(name),
                called(name),
                called(before),
            ),
            Self::Closures { path } => write!(
                f,
                "closures {path} have changed, and which was which can't be told, while the address of one is \
                 kept. Change one at a time, or make functions of them"
            ),
            Self::TooMuch { found, most } => write!(
                f,
                "{found} functions have changed, and more than {most} are better brought in by a boot (MOST={found} \
                 allows them)"
            ),
            Self::Hook { name } => write!(f, "{} is not as `klp::hook!` makes it", path(name)),
            Self::Hooks => f.write_str("two of `klp::hook!` name the same callback, and a patch has one of each"),
            Self::Write => f.write_str("the module could not be written: it is too large for its format"),
            Self::OwnToc { function, why } => {
                let path = path(function);
                match why {
                    Why::TailCall => write!(f, "{path} ends with a jump to another function, and could not bring r2 back"),
                    Why::Computed => write!(f, "{path} jumps where a register says, and could not bring r2 back"),
                    Why::Far => write!(f, "{path} is too long for a branch to its end"),
                }?;
                write!(f, ". Use the kernel's TOC, which is the default")
            }
            Self::Rest {
                unit,
                section,
                name,
            } => {
                let place = match name {
                    Some(name) => format!("{}, in {section} of {unit},", path(name)),
                    None => format!("{section} of {unit}"),
                };
                write!(
                    f,
                    "{place} has changed outside of functions and statics, and only a function can be replaced. Boot \
                     the new kernel"
                )
            }
            Self::Unnamed { unit, section } => write!(
                f,
                "code of {unit} refers to {section}, where nothing has a name: it can't be found in the running kernel"
            ),
            Self::Nowhere { name } => write!(f, "no object of the kernel defines {}", path(name)),
            Self::ReachesNothing => f.write_str(
                "the running kernel has none of the functions that have changed: there is nothing to replace, and no \
                 `klp::hook!` to call",
            ),
        }
    }
}

impl std::error::Error for Refusal {}
impl std::error::Error for ReadError {}
impl std::error::Error for CompareError {}
