//! Names that two builds share, though one counts closures otherwise than the other.
//!
//! rustc numbers the closures of a function, so one more in front gives each behind it
//! another name. A closure is therefore found again by its code: one with the same is the
//! same. What is left over is paired in order, if as many are left on both sides.

use crate::Build;
use crate::meaning::{Content, Meanings};
use crate::unit::Symbol;
use std::collections::{BTreeMap, HashMap};

/// What a symbol is called where both builds are looked at.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<String, String>);

impl Names {
    /// The common name of a symbol; its own, if it has no other.
    pub(crate) fn common<'n>(&'n self, name: &'n str) -> &'n str {
        self.0.get(name).map_or(name, String::as_str)
    }

    /// Names under which all closures of a function are one.
    fn without_numbers(build: &Build<'_>) -> Self {
        let units = build.units.iter();
        let symbols = units.flat_map(|unit| unit.symbols.iter());
        let numbered = symbols.filter_map(|symbol| Some((symbol.name, numberless(symbol.name)?)));
        Self(
            numbered
                .map(|(name, loose)| (name.to_owned(), loose))
                .collect(),
        )
    }
}

/// A symbol as its source names it.
#[must_use]
pub fn path(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// The closures of one function, or the instances for its closures of another: those of
/// the old build and those of the new.
#[derive(Default)]
struct Group<'b, 'd> {
    old: Vec<(&'b Symbol<'d>, Content)>,
    new: Vec<(&'b Symbol<'d>, Content)>,
}

/// Closures of one function that can't be told apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unclear {
    /// The path that they share, with no number.
    pub path: String,
    /// The linker's names of those that the running kernel has.
    pub old: Vec<String>,
}

/// What the new build's symbols are called in the old one, for these pairs of units. Also
/// returns closures that were paired by nothing but their order, where another order could
/// have been meant.
pub(crate) fn pair(
    old: &Build<'_>,
    new: &Build<'_>,
    units: &[(usize, usize)],
) -> (Names, Vec<Unclear>) {
    let loose = [Names::without_numbers(old), Names::without_numbers(new)];
    let (before, after) = (Meanings::new(old, &loose[0]), Meanings::new(new, &loose[1]));
    let (mut names, mut unclear) = (HashMap::new(), Vec::new());
    for &(was, is) in units {
        let mut groups: BTreeMap<&str, Group<'_, '_>> = BTreeMap::new();
        for symbol in old.units[was].functions() {
            if let Some(path) = loose[0].0.get(symbol.name) {
                let content = before.of(was, symbol);
                groups.entry(path).or_default().old.push((symbol, content));
            }
        }
        for symbol in new.units[is].functions() {
            if let Some(path) = loose[1].0.get(symbol.name) {
                let content = after.of(is, symbol);
                groups.entry(path).or_default().new.push((symbol, content));
            }
        }
        for (path, group) in groups {
            if let Some(old) = group.pair(&mut names) {
                let path = old
                    .first()
                    .map_or_else(|| path.to_owned(), |name| loosened(name, true));
                unclear.push(Unclear { path, old });
            }
        }
    }
    (Names(names), unclear)
}

impl Group<'_, '_> {
    /// Pairs the closures: first those of the same name and code, then those of the same
    /// code, then what is left in order. Returns those that were left, if another order could have
    /// been meant, or none: if they are two or more, or the one has another number now.
    fn pair(mut self, names: &mut HashMap<String, String>) -> Option<Vec<String>> {
        self.old.sort_by_key(|(symbol, _)| order(symbol.name));
        self.new.sort_by_key(|(symbol, _)| order(symbol.name));
        for same_name in [true, false] {
            self.new.retain(|(symbol, content)| {
                let same = self.old.iter().position(|(old, was)| {
                    (!same_name || old.name == symbol.name) && was == content
                });
                let Some(place) = same else { return true };
                let (old, _) = self.old.remove(place);
                names.insert(symbol.name.to_owned(), old.name.to_owned());
                false
            });
        }
        let named = |(symbol, _): &(&Symbol<'_>, _)| symbol.name.to_owned();
        if self.old.len() != self.new.len() {
            // A new one never stands in for an old one: it keeps a name that no old one has.
            for (symbol, _) in &self.new {
                names.insert(symbol.name.to_owned(), format!("{} (new)", symbol.name));
            }
            return None;
        }
        for ((new, _), (old, _)) in self.new.iter().zip(&self.old) {
            names.insert(new.name.to_owned(), old.name.to_owned());
        }
        let renumbered = self
            .new
            .iter()
            .zip(&self.old)
            .any(|((new, _), (old, _))| new.name != old.name);
        (self.old.len() > 1 || renumbered).then(|| self.old.iter().map(named).collect())
    }
}

/// A symbol's path with its closures' numbers taken out; none if there are no closures in it.
fn numberless(name: &str) -> Option<String> {
    // Closures are in the namespace `C` (Rust RFC 2603, "Namespaces").
    if !name.starts_with("_R") || !name.contains("NC") {
        return None;
    }
    let loose = loosened(name, false);
    loose.contains("{closure}").then_some(loose)
}

/// A symbol's path with its closures' numbers taken out, for a reader or as a key.
fn loosened(name: &str, for_reader: bool) -> String {
    let path = rustc_demangle::demangle(name);
    let path = if for_reader {
        format!("{path:#}")
    } else {
        path.to_string()
    };
    let mut parts = path.split("{closure#");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |loose, part| {
        loose + "{closure" + part.trim_start_matches(|digit: char| digit.is_ascii_digit())
    })
}

/// The numbers of the closures in a symbol's path, by which closures of a function are ordered.
fn order(name: &str) -> Vec<u64> {
    let path = rustc_demangle::demangle(name).to_string();
    let numbers = path.split("{closure#").skip(1);
    numbers
        .map(|part| {
            let end = part.find('}').unwrap_or(0);
            part[..end].parse().unwrap_or(0)
        })
        .collect()
}
