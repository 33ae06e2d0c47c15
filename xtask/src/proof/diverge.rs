//! Functions that never return.
//!
//! Compilers put nothing behind a call of one, so what stands there is part of
//! another way through the caller. A function returns if some way leads to a
//! return, or to an unknown place, or to a tail call of a function that does.

use super::flow::{Leads, is_entry, leads};
use super::insn::{Action, Target};
use super::module::{Code, Module, Place};
use super::prefixed;
use std::collections::{BTreeSet, HashMap, HashSet};

/// The functions of a module, and those that it calls elsewhere, that never return.
pub struct Diverging<'a> {
    /// The entries, global and local, of its own.
    places: HashSet<Place>,
    /// The names of others.
    outside: &'a BTreeSet<String>,
    /// What comes in the place of some of those: a call may come to the one or the other.
    replaced: &'a HashMap<String, Place>,
}

impl<'a> Diverging<'a> {
    /// Finds them. `outside` names those elsewhere, and `replaced` what the module replaces.
    pub fn of(
        module: &Module<'_>,
        outside: &'a BTreeSet<String>,
        replaced: &'a HashMap<String, Place>,
    ) -> Self {
        // No function returns until it is seen to; then its callers are looked at again.
        let places = module.functions().iter().flat_map(entries).collect();
        let mut silent = Self {
            places,
            outside,
            replaced,
        };
        loop {
            let before = silent.places.len();
            for code in module.functions() {
                if silent.places.contains(&code.start) && silent.returns(module, code) {
                    for entry in entries(code) {
                        silent.places.remove(&entry);
                    }
                }
            }
            if silent.places.len() == before {
                return silent;
            }
        }
    }

    /// Whether what a branch leads to never returns.
    pub fn includes(&self, target: &Leads) -> bool {
        match target {
            Leads::To(place) => self.places.contains(place),
            Leads::Outside(name) => self.includes_outside(name),
            Leads::Inside(_) | Leads::Anywhere => false,
        }
    }

    /// Whether a function elsewhere never returns, nor does what replaces it.
    fn includes_outside(&self, name: &String) -> bool {
        let new = self.replaced.get(name);
        self.outside.contains(name) && new.is_none_or(|place| self.places.contains(place))
    }

    /// The names of the module's own among them.
    pub fn names(self, module: &Module<'_>) -> BTreeSet<String> {
        let functions = module.functions().iter();
        let silent = functions.filter(|code| self.places.contains(&code.start));
        silent.map(|code| code.name.clone()).collect()
    }

    fn returns(&self, module: &Module<'_>, code: &Code) -> bool {
        // It goes where a register says, and that is known.
        if let Some(names) = module.stub_target(code) {
            return !names.iter().any(|name| self.includes_outside(name));
        }
        let diverges = |target: &Leads| match target {
            Leads::Inside(index) => is_entry(code, *index) && self.places.contains(&code.start),
            target => self.includes(target),
        };
        let mut seen = vec![false; code.words.len()];
        let mut open = vec![(code.local / 4) as usize];
        while let Some(index) = open.pop() {
            match seen.get_mut(index) {
                // Off the end: whatever comes there may return.
                None => return true,
                Some(true) => continue,
                Some(seen) => *seen = true,
            }
            let (insn, length) = prefixed::at(&code.words, index);
            match insn.action {
                Action::Trap => continue,
                Action::Branch {
                    to,
                    conditional,
                    link,
                } => {
                    let target = leads(module, code, index, to);
                    match (&target, link) {
                        (_, true) if !diverges(&target) => open.push(index + 1),
                        (_, true) => {}
                        (Leads::Inside(inside), false) => open.push(*inside),
                        (Leads::Anywhere, false) => return true,
                        (_, false) if !diverges(&target) => return true,
                        (_, false) => {}
                    }
                    debug_assert!(to != Target::Lr || target == Leads::Anywhere);
                    if conditional {
                        open.push(index + 1);
                    }
                }
                _ => open.push(index + length),
            }
        }
        false
    }
}

fn entries(code: &Code) -> [Place; 2] {
    let local = code.start.offset + code.local;
    [
        code.start,
        Place {
            offset: local,
            ..code.start
        },
    ]
}
