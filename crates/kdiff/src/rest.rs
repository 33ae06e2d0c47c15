//! What of a unit is in no function and no static: assembly without symbols that have a type and a
//! size, tables that it makes, labels, numbers that other units know by name.
//!
//! Constants without a name are left out. They are compared with what refers to them, and what nothing
//! refers to is not read.

use crate::meaning::{Content, Meanings};
use crate::unit::{Kind, Named, Section, Symbol, Unit};
use crate::{Build, compare::Rest};
use std::collections::{BTreeMap, HashMap};

/// `nop`, which the assembler puts between pieces of code.
const NOP: [u8; 4] = 0x6000_0000_u32.to_le_bytes();

/// What stands for the section of symbols that are numbers, as in binutils.
const ABSOLUTE: &str = "*ABS*";

/// The rest of the sections of one name.
#[derive(Debug, Default, Eq, PartialEq)]
struct Found<'d> {
    gaps: Vec<Gap<'d>>,
    /// Labels that all units know, each with the last function or static in front of it.
    labels: Vec<(&'d str, Option<&'d str>, u64)>,
}

/// A part of a section that nothing with a type and a size covers.
#[derive(Debug)]
struct Gap<'d> {
    size: u64,
    align: u64,
    content: Content,
    /// The last name at its start or in front of it.
    name: Option<&'d str>,
}

impl PartialEq for Gap<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.size, self.align, &self.content) == (other.size, other.align, &other.content)
    }
}

impl Eq for Gap<'_> {}

/// What differs between the rest of two units that are one, or of one that the other build does not
/// have.
pub(crate) fn compare<'b, 'd>(
    sides: [(&'b Build<'d>, &Meanings<'b, 'd>); 2],
    units: [Option<usize>; 2],
) -> Vec<Rest> {
    let [mut old, new] = [0, 1].map(|side| {
        let (build, meanings) = sides[side];
        units[side].map_or_else(BTreeMap::new, |unit| all(build, meanings, unit))
    });
    let mut differing = Vec::new();
    let (build, unit) = match units {
        [_, Some(unit)] => (sides[1].0, unit),
        [Some(unit), _] => (sides[0].0, unit),
        [None, None] => return differing,
    };
    let mut add = |section: &str, was: &Found<'d>, is: &Found<'d>| {
        if was != is {
            differing.push(Rest {
                unit: build.units[unit].name.to_owned(),
                section: section.to_owned(),
                name: name(was, is).map(str::to_owned),
            });
        }
    };
    for (section, is) in &new {
        let was = old.remove(section).unwrap_or_default();
        add(section, &was, is);
    }
    for (section, was) in &old {
        add(section, was, &Found::default());
    }
    differing
}

/// What to call the first thing that differs.
fn name<'d>(was: &Found<'d>, is: &Found<'d>) -> Option<&'d str> {
    let same = was.gaps.iter().zip(&is.gaps).take_while(|(a, b)| a == b);
    let first = same.count();
    let gap = is.gaps.get(first).or_else(|| was.gaps.get(first));
    let one_sided = |a: &Found<'d>, b: &Found<'d>| {
        let alone = a.labels.iter().find(|label| !b.labels.contains(label));
        alone.map(|label| label.0)
    };
    match gap {
        Some(gap) => gap.name,
        None => one_sided(is, was).or_else(|| one_sided(was, is)),
    }
}

/// The rest of a unit, by section.
fn all<'b, 'd>(
    build: &'b Build<'d>,
    meanings: &Meanings<'b, 'd>,
    number: usize,
) -> BTreeMap<&'d str, Found<'d>> {
    let unit = &build.units[number];
    let mut found: BTreeMap<&str, Found<'_>> = BTreeMap::new();
    let all_labels = labels(unit);
    for (index, section) in unit.sections.iter().enumerate() {
        let labels = all_labels.get(&index).map_or(&[][..], Vec::as_slice);
        if !is_looked_at(section, labels) {
            continue;
        }
        let mut rest = Found::default();
        for label in labels.iter().filter(|label| !label.local) {
            let named = section.named.iter().map(|&symbol| &unit.symbols[symbol]);
            let before = named
                .take_while(|one| one.value <= label.value)
                .filter(|one| is_whole(one, section))
                .last();
            let start = before.map_or(0, |one| one.value);
            let place = label.value - start;
            rest.labels
                .push((label.name, before.map(|one| one.name), place));
        }
        rest.labels.sort_unstable();
        for (start, end) in gaps(unit, section, labels) {
            let content = meanings.part(number, index, start, end - start);
            let has_label = labels.iter().any(|label| label.value == start);
            if !has_label && is_padding(&content) {
                continue;
            }
            rest.gaps.push(Gap {
                size: end - start,
                align: section.align,
                content,
                name: last_name(unit, index, start),
            });
        }
        let of_name = found.entry(section.name).or_default();
        of_name.gaps.append(&mut rest.gaps);
        of_name.labels.append(&mut rest.labels);
    }
    let mut numbers = Found::default();
    let known = unit.symbols.iter();
    for symbol in known.filter(|symbol| symbol.absolute && !symbol.local) {
        numbers.labels.push((symbol.name, None, symbol.value));
    }
    numbers.labels.sort_unstable();
    found.insert(ABSOLUTE, numbers);
    found.retain(|_, rest| *rest != Found::default());
    found
}

/// Whether the rest of a section is compared here.
fn is_looked_at(section: &Section<'_>, labels: &[&Symbol<'_>]) -> bool {
    match section.kind {
        Kind::Code | Kind::Written | Kind::Zeroed => true,
        // The linker leaves it out.
        Kind::Constant if section.name.starts_with(".eh_frame") => false,
        // The linker collects other sections, and what has a label can be referred to by other units.
        Kind::Constant => {
            let is_compilers = [".rodata", ".data.rel.ro"]
                .iter()
                .any(|name| section.name.starts_with(name));
            !is_compilers || labels.iter().any(|label| !label.local)
        }
        // Slots are known by what they hold, and records belong to functions.
        Kind::Toc | Kind::Records | Kind::Other => false,
    }
}

/// Whether a symbol is compared as a function or static, with all of its bytes.
fn is_whole(symbol: &Symbol<'_>, section: &Section<'_>) -> bool {
    let is_compared = match symbol.named {
        Named::Function => section.kind == Kind::Code,
        Named::Object => true,
        Named::Nothing => false,
    };
    is_compared && symbol.size > 0
}

/// The names that have no type or no size, by section and address.
fn labels<'u, 'd>(unit: &'u Unit<'d>) -> HashMap<usize, Vec<&'u Symbol<'d>>> {
    let mut found: HashMap<usize, Vec<_>> = HashMap::new();
    for symbol in &unit.symbols {
        let section = &unit.sections[symbol.section];
        if symbol.section != 0 && has_name(symbol) && !is_whole(symbol, section) {
            found.entry(symbol.section).or_default().push(symbol);
        }
    }
    for labels in found.values_mut() {
        labels.sort_by_key(|label| label.value);
    }
    found
}

/// The parts of a section that no function and no static covers, cut where labels are: from
/// where to where.
fn gaps(unit: &Unit<'_>, section: &Section<'_>, labels: &[&Symbol<'_>]) -> Vec<(u64, u64)> {
    let (mut gaps, mut at) = (Vec::new(), 0);
    let mut add = |mut start: u64, end: u64| {
        let inside = labels.iter().map(|label| label.value);
        for cut in inside.chain([end]) {
            if start < cut && cut <= end {
                gaps.push((start, cut));
                start = cut;
            }
        }
    };
    let named = section.named.iter().map(|&symbol| &unit.symbols[symbol]);
    for symbol in named.filter(|symbol| is_whole(symbol, section)) {
        add(at, symbol.value);
        at = at.max(symbol.value + symbol.size);
    }
    add(at, section.size);
    gaps
}

/// The last name at an offset in a section or in front of it.
fn last_name<'d>(unit: &Unit<'d>, index: usize, offset: u64) -> Option<&'d str> {
    let named = unit
        .symbols
        .iter()
        .filter(|symbol| symbol.section == index && symbol.value <= offset && has_name(symbol));
    named
        .max_by_key(|symbol| symbol.value)
        .map(|symbol| symbol.name)
}

/// Whether a symbol is no section, and none of those that the assembler leaves out.
fn has_name(symbol: &Symbol<'_>) -> bool {
    !symbol.name.is_empty() && !symbol.name.starts_with(".L")
}

/// Whether nothing is there but what aligns the next piece.
fn is_padding(content: &Content) -> bool {
    let is_filler = |bytes: &[u8]| bytes == NOP || bytes.iter().all(|&byte| byte == 0);
    content.links.is_empty() && content.bytes.chunks(4).all(is_filler)
}
