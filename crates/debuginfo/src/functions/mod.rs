//! From which lines of the source a function's code comes.

mod read;
mod why;

use crate::error::Error;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

pub use why::Why;

/// The functions of an object that have code of their own.
#[derive(Debug, Default)]
pub struct Functions {
    functions: Vec<Function>,
    /// By linkage name. Several for what each unit of a linked file has for itself.
    names: HashMap<String, Vec<usize>>,
}

/// A function with code.
#[derive(Debug, Clone)]
pub struct Function {
    /// The symbol's name.
    pub linkage_name: String,
    /// The path as people write it: `<demo::bank::Account>::balance`.
    pub path: String,
    /// The file that declares it, as the compiler was told: relative to the workspace for
    /// its own files. Empty if that isn't recorded.
    pub file: Arc<str>,
    /// The line where it is declared, or 0.
    pub line: u32,
    /// From the line where it is declared to the last one of that file that has code.
    pub lines: RangeInclusive<u32>,
    /// What was inlined into it, callers before what is inlined into them.
    pub inlined: Vec<Inlined>,
    /// The lines that its code comes from, in order and each once.
    pub rows: Vec<Row>,
}

/// A call that was replaced by the function's body.
#[derive(Debug, Clone)]
pub struct Inlined {
    /// The name that the function's symbol would have, or its name if that is not recorded.
    pub linkage_name: String,
    /// The path as people write it.
    pub path: String,
    /// The file that declares it.
    pub file: Arc<str>,
    /// The line where it is declared, or 0.
    pub line: u32,
    /// From the line where it is declared to the last one of that file that has code,
    /// wherever in the object it is.
    pub lines: RangeInclusive<u32>,
    /// The file of the call.
    pub call_file: Arc<str>,
    /// The line of the call, or 0.
    pub call_line: u32,
    /// Which of the function's `inlined` the call is in; none for the function itself.
    pub caller: Option<usize>,
}

/// A line that code comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// Which of the function's `inlined` the code is of; none for its own.
    pub inlined: Option<usize>,
}

impl Functions {
    /// The functions of one object.
    ///
    /// # Errors
    /// When the object or its debug information is damaged, or it has none.
    pub fn read(object: &[u8]) -> Result<Self, Error> {
        let functions = read::read(object)?;
        let mut names: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, function) in functions.iter().enumerate() {
            let all = names.entry(function.linkage_name.clone()).or_default();
            all.push(index);
        }
        Ok(Self { functions, names })
    }

    /// The functions of a linkage name: one, in an object of one unit.
    pub fn named(&self, linkage_name: &str) -> impl Iterator<Item = &Function> {
        let all = self.names.get(linkage_name).into_iter().flatten();
        all.filter_map(|&index| self.functions.get(index))
    }

    /// All functions, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter()
    }

    /// Why an edit changes the code of a function of this linkage name: `edited` says of a
    /// file, named as in [`Function::file`], and a line whether the line was edited.
    ///
    /// Nothing, if no edited line is in its code: what changed it is a constant, a type or
    /// a function that it calls.
    #[must_use]
    pub fn who(&self, linkage_name: &str, edited: &dyn Fn(&str, u32) -> bool) -> Vec<Why> {
        let mut all = self.named(linkage_name);
        let mut why = all.next().map_or_else(Vec::new, |one| one.who(edited));
        for other in all.flat_map(|other| other.who(edited)) {
            if !why.contains(&other) {
                why.push(other);
            }
        }
        why
    }
}

/// A path for people.
fn path(linkage_name: &str) -> String {
    match rustc_demangle::try_demangle(linkage_name) {
        Ok(name) => format!("{name:#}"),
        Err(_) => linkage_name.to_owned(),
    }
}
