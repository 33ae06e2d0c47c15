//! What of a comparison goes into a patch, what stands against it, and what should be known.

use crate::compare::{Change, Comparison, Id, Static};
use crate::hooks::{self, Hook};
use crate::meaning::{self, Place};
use crate::names::path;
use crate::{Build, Image, Refusal};
use object::elf;
use ppc64::opcode::{B, primary};
use std::collections::{HashMap, HashSet};

/// What to make of a comparison.
#[derive(Debug, Default)]
pub struct Plan {
    /// The functions to replace, in the new build.
    pub roots: Vec<Id>,
    /// What stands against it.
    pub refused: Vec<Refusal>,
    /// What does not, and should be known.
    pub notes: Vec<Note>,
    /// What the author of the change has called around the patch.
    pub hooks: Vec<Hook>,
}

/// Something to know of a patch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// A function has changed that the running kernel has not: all its callers have it in
    /// themselves, or there are none.
    NotThere {
        /// By the linker's name.
        function: String,
    },
    /// A function does not return: a thread in it keeps the old code.
    NeverReturns {
        /// By the linker's name.
        function: String,
    },
    /// The author brings a static up to date.
    Updated {
        /// By path.
        name: String,
    },
}

/// The sections that the linker collects tables in: their rows are read when the kernel starts.
const TABLES: [&str; 3] = [".exports", ".selftests", ".variants"];

/// What may be asked of a function that can't be replaced: the reason, by path.
pub type Reason<'r> = &'r dyn Fn(&str) -> Option<&'static str>;

/// The most functions that one patch replaces by default: above it a boot is the better way.
pub const MOST_FUNCTIONS: usize = 500;

/// Decides what to do about all that differs.
#[must_use]
pub fn plan(
    comparison: &Comparison,
    old: &Build<'_>,
    new: &Build<'_>,
    image: &Image<'_>,
    most: usize,
    reason: Reason<'_>,
) -> Plan {
    let mut plan = Plan::default();
    match hooks::read(new) {
        Ok(hooks) => plan.hooks = hooks,
        Err(refusal) => plan.refused.push(refusal),
    }
    for function in &comparison.functions {
        if function.change != Change::Changed {
            continue;
        }
        let name = function.name.clone();
        let Some(found) = image.find(&name, &function.unit, function.local) else {
            plan.notes.push(Note::NotThere { function: name });
            continue;
        };
        let path = path(&name);
        if !image.has_site(found) || reason(&path).is_some() {
            let why = reason(&path);
            plan.refused.push(Refusal::NoSite {
                function: name,
                why,
            });
            continue;
        }
        if never_returns(new, function.id) {
            plan.notes.push(Note::NeverReturns { function: name });
        }
        plan.roots.push(function.id);
    }
    if plan.roots.len() > most {
        let found = plan.roots.len();
        plan.refused.push(Refusal::TooMuch { found, most });
    }
    plan.statics(comparison, old, image);
    for one in comparison.rest.iter().cloned() {
        plan.refused.push(Refusal::Rest {
            unit: one.unit,
            section: one.section,
            name: one.name,
        });
    }
    for unclear in &comparison.unclear {
        let is_stored = |name: &String| is_stored(old, name);
        if unclear.old.iter().any(is_stored) {
            let path = unclear.path.clone();
            plan.refused.push(Refusal::Closures { path });
        }
    }
    // What a patch calls makes one too.
    let has_work = !plan.roots.is_empty()
        || plan.hooks.iter().any(|hook| hook.is_edited(comparison))
        || { plan.notes.iter() }.any(|note| matches!(note, Note::Updated { .. }));
    if !has_work && plan.refused.is_empty() && !comparison.is_empty() {
        plan.refused.push(Refusal::ReachesNothing);
    }
    plan
}

/// The functions of a build whose calls can be diverted in the running kernel, each once, the
/// smallest first.
#[must_use]
pub fn replaceable(build: &Build<'_>, image: &Image<'_>) -> Vec<Id> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (number, unit) in build.units.iter().enumerate() {
        for (symbol, id) in build.functions(number) {
            let there = image.find(symbol.name, unit.name, symbol.local);
            // Of several that all units know, the linker has taken the first.
            if there.is_some_and(|there| image.has_site(there) && seen.insert(there.address)) {
                found.push((symbol.size, id));
            }
        }
    }
    found.sort_by_key(|(size, _)| *size);
    found.into_iter().map(|(_, id)| id).collect()
}

impl Plan {
    fn statics(&mut self, comparison: &Comparison, old: &Build<'_>, image: &Image<'_>) {
        // Each static of the old build, in whatever form.
        let mut forms: HashMap<(&str, &str), &str> = HashMap::new();
        for unit in &old.units {
            for symbol in unit.statics() {
                forms.insert((unit.name, form(symbol.name)), symbol.name);
            }
        }
        for one in &comparison.statics {
            let name = one.name.clone();
            let path = path(form(&name));
            let there = image.find(&name, &one.unit, one.local).is_some();
            let is_table = TABLES.contains(&one.section.as_str());
            match one.change {
                Change::New if is_table => {
                    let table = one.section.clone();
                    self.refused.push(Refusal::Row { name, table });
                }
                Change::New => {
                    let before = forms.get(&(&*one.unit, form(&name)));
                    let before = before.filter(|before| {
                        image.all(before).iter().any(|found| found.is_of(&one.unit))
                    });
                    if let Some(before) = before {
                        let before = (*before).to_owned();
                        self.refused.push(Refusal::Form { name, before });
                    }
                }
                Change::Changed if there => {
                    if one.sizes.0 == one.sizes.1
                        && self.hooks.iter().any(|hook| hook.updates(&path))
                    {
                        self.notes.push(Note::Updated { name: path });
                    } else {
                        self.refused.push(value(one, is_table));
                    }
                }
                Change::Changed | Change::Gone => {}
            }
        }
    }
}

fn value(one: &Static, is_table: bool) -> Refusal {
    let name = one.name.clone();
    match one.sizes {
        (old, new) if old != new => Refusal::Size { name, old, new },
        _ if one.constant || is_table => Refusal::Table { name },
        _ => Refusal::Value { name },
    }
}

/// A static's name without the number that LLVM puts behind it when it splits or shrinks it.
pub(crate) fn form(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((name, number)) if number.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => name,
    }
}

/// Whether no way through a function leads back to its caller: there is no return in it, and no
/// jump to another function.
fn never_returns(new: &Build<'_>, id: Id) -> bool {
    let unit = &new.units[id.unit];
    let symbol = &unit.symbols[id.symbol];
    let leaves = |word: &[u8; 4]| {
        let word = u32::from_le_bytes(*word);
        // `bclr` and `bcctr` without LK (ISA, Book I, 2.4).
        matches!(word & 0xfc00_07ff, 0x4c00_0020 | 0x4c00_0420)
    };
    let bytes = unit.bytes_of(symbol);
    let returns = bytes.as_chunks().0.iter().any(leaves);
    let jumps = unit
        .links_in(symbol.section, symbol.value, symbol.size)
        .iter()
        .any(|link| {
            let at = (link.offset - symbol.value) as usize;
            let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
            let word = word.map_or(0, |word| u32::from_le_bytes(*word));
            link.kind == elf::R_PPC64_REL24.0 && primary(word) == B && word & 1 == 0
        });
    !returns && !jumps
}

/// Whether a function's address is kept somewhere: something refers to it otherwise than by
/// a call.
fn is_stored(build: &Build<'_>, name: &str) -> bool {
    build.units.iter().any(|unit| {
        (0..unit.sections.len()).any(|section| {
            unit.links(section).iter().any(|link| {
                let kept = link.kind != elf::R_PPC64_REL24.0;
                let records = unit.sections[section].kind == crate::Kind::Records;
                // By the name of its section, if it is the unit's own.
                let is_meant = || matches!(meaning::place(unit, link), Place::Named { symbol, .. } if symbol.name == name);
                kept && !records && unit.is_loaded(section) && is_meant()
            })
        })
    })
}
