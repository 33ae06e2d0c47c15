//! Which functions and statics differ between two builds.

use crate::meaning::{Content, Meanings};
use crate::names::{self, Names, Unclear};
use crate::unit::Kind;
use crate::{Build, CompareError, rest};
use std::collections::HashMap;

/// A function or static of a build: unit and symbol, by their numbers.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Id {
    /// The unit that it is in.
    pub unit: usize,
    pub(crate) symbol: usize,
}

/// A function that is not in both builds the same.
#[derive(Clone, Debug)]
pub struct Function {
    /// In which way.
    pub change: Change,
    /// What it is called by the linker. If it has changed, in the running kernel: a closure
    /// may have another number now.
    pub name: String,
    /// The archive and the unit that it is in, which tell it from others of its name.
    pub archive: String,
    /// The unit.
    pub unit: String,
    /// Of its unit alone.
    pub local: bool,
    /// Where it is in the new build, and if it is gone, in the old one.
    pub id: Id,
}

/// In which way something differs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Change {
    /// It is in both, and not the same.
    Changed,
    /// It is in the new build alone.
    New,
    /// It is in the old build alone.
    Gone,
}

/// A static that is not in both builds the same.
#[derive(Clone, Debug)]
pub struct Static {
    /// In which way.
    pub change: Change,
    /// What it is called by the linker.
    pub name: String,
    /// The archive and the unit that it is in.
    pub archive: String,
    /// The unit.
    pub unit: String,
    /// Of its unit alone.
    pub local: bool,
    /// Bytes in the old build and in the new one.
    pub sizes: (u64, u64),
    /// The section that it is in.
    pub section: String,
    /// Whether it is only read.
    pub constant: bool,
}

/// Something that differs and is in no function and no static.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Rest {
    /// The unit that it is in.
    pub unit: String,
    /// Its section.
    pub section: String,
    /// The label at or before it, if there is one.
    pub name: Option<String>,
}

/// What differs between two builds.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Functions: those that have changed, then the new ones, then those that are gone, each
    /// by name.
    pub functions: Vec<Function>,
    /// Statics, likewise.
    pub statics: Vec<Static>,
    /// What is neither: assembly, and data of its own.
    pub rest: Vec<Rest>,
    /// Closures that were told apart by nothing but their order.
    pub unclear: Vec<Unclear>,
    /// The units that differ: their numbers in the old build and in the new.
    pub units: Vec<(usize, usize)>,
    /// How many functions were there to compare.
    pub compared: usize,
    pub(crate) names: Names,
}

impl Comparison {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty() && self.statics.is_empty() && self.rest.is_empty()
    }
}

/// Compares two builds of one kernel.
///
/// # Errors
/// When they are not of one: another compiler, other flags or dependencies.
pub fn compare(old: &Build<'_>, new: &Build<'_>) -> Result<Comparison, CompareError> {
    let here = |build: &Build<'_>, archive: &str| build.archives().any(|one| one == archive);
    if let Some(archive) = old.archives().find(|archive| !here(new, archive)) {
        let archive = archive.to_owned();
        return Err(CompareError::Archive { archive });
    }
    let (mut pairs, mut single) = (Vec::new(), Vec::new());
    for (is, unit) in new.units.iter().enumerate() {
        if old.is_same(&unit.archive) {
            continue;
        }
        match old.find(&unit.archive, unit.name) {
            Some(was) if old.units[was].bytes == unit.bytes => {}
            Some(was) => pairs.push((was, is)),
            None => single.push((None, Some(is))),
        }
    }
    for (was, unit) in old.units.iter().enumerate() {
        if new.find(&unit.archive, unit.name).is_none() {
            single.push((Some(was), None));
        }
    }
    let (names, unclear) = names::pair(old, new, &pairs);
    let mut comparison = Comparison {
        compared: new.units.iter().map(|unit| unit.functions().count()).sum(),
        unclear,
        ..Comparison::default()
    };
    let same = Names::default();
    let (before, after) = (Meanings::new(old, &same), Meanings::new(new, &names));
    let sides = [(old, &before), (new, &after)];
    comparison.units.clone_from(&pairs);
    let pairs = pairs.into_iter().map(|(was, is)| (Some(was), Some(is)));
    for (was, is) in pairs.chain(single) {
        comparison.functions(sides, &names, was, is);
        comparison.statics(sides, was, is);
        comparison.rest.extend(rest::compare(sides, [was, is]));
    }
    comparison
        .functions
        .sort_by(|a, b| (a.change, &a.name).cmp(&(b.change, &b.name)));
    comparison
        .statics
        .sort_by(|a, b| (a.change, &a.name).cmp(&(b.change, &b.name)));
    comparison.rest.sort();
    comparison.names = names;
    Ok(comparison)
}

/// A build with its meanings.
type Side<'b, 'd> = (&'b Build<'d>, &'b Meanings<'b, 'd>);

impl Comparison {
    /// The functions of two units that are one, or of one that the other build does not have.
    fn functions(
        &mut self,
        [old, new]: [Side<'_, '_>; 2],
        names: &Names,
        was: Option<usize>,
        is: Option<usize>,
    ) {
        let before = was.into_iter().flat_map(|unit| old.0.functions(unit));
        let mut left: HashMap<&str, Id> = before.map(|(symbol, id)| (symbol.name, id)).collect();
        for (symbol, id) in is.into_iter().flat_map(|unit| new.0.functions(unit)) {
            let name = names.common(symbol.name);
            let Some(before) = left.remove(name) else {
                self.functions
                    .push(function(Change::New, new.0, symbol.name, id));
                continue;
            };
            let one = old.0.symbol(before);
            if one.other != symbol.other || old.1.of(before.unit, one) != new.1.of(id.unit, symbol)
            {
                self.functions
                    .push(function(Change::Changed, new.0, name, id));
            }
        }
        for (name, id) in left {
            self.functions.push(function(Change::Gone, old.0, name, id));
        }
    }

    /// The statics of two units that are one, or of one that the other build does not have.
    fn statics(&mut self, [old, new]: [Side<'_, '_>; 2], was: Option<usize>, is: Option<usize>) {
        let of = |(build, meanings): Side<'_, '_>, unit: Option<usize>| {
            let mut found: HashMap<String, (Static, Content)> = HashMap::new();
            let Some(number) = unit else { return found };
            let unit = &build.units[number];
            for symbol in unit.statics() {
                let section = &unit.sections[symbol.section];
                let one = Static {
                    change: Change::Changed,
                    name: symbol.name.to_owned(),
                    archive: unit.archive.clone(),
                    unit: unit.name.to_owned(),
                    local: symbol.local,
                    sizes: (symbol.size, symbol.size),
                    section: section_name(section.name, symbol.name).to_owned(),
                    constant: section.kind == Kind::Constant,
                };
                let content = meanings.of(number, symbol);
                found.insert(one.name.clone(), (one, content));
            }
            found
        };
        let mut left = of(old, was);
        for (name, (mut one, content)) in of(new, is) {
            match left.remove(&name) {
                None => one.change = Change::New,
                Some((was, before)) => {
                    let same = was.section == one.section && was.sizes == one.sizes;
                    if same && before == content {
                        continue;
                    }
                    one.sizes.0 = was.sizes.0;
                }
            }
            self.statics.push(one);
        }
        for (mut one, _) in left.into_values() {
            one.change = Change::Gone;
            self.statics.push(one);
        }
    }
}

/// A section's name without that of the one static in it.
fn section_name<'s>(section: &'s str, symbol: &str) -> &'s str {
    let rest = section.strip_suffix(symbol);
    rest.map_or(section, |rest| rest.trim_end_matches('.'))
}

fn function(change: Change, build: &Build<'_>, name: &str, id: Id) -> Function {
    let unit = &build.units[id.unit];
    Function {
        change,
        name: name.to_owned(),
        archive: unit.archive.clone(),
        unit: unit.name.to_owned(),
        local: build.symbol(id).local,
        id,
    }
}
