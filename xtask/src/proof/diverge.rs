//! Functions that never return.
//!
//! Compilers put nothing behind a call of one, so what stands there is part of
//! another way through the caller. A function returns if some way leads to a
//! return, or to an unknown place, or to a tail call of a function that does.

use super::flow::{Leads, is_entry, leads};
use super::insn::{Action, Target};
use super::module::{Code, Module, Place};
use super::prefixed;
use std::collections::HashSet;

/// The entries, global and local, of all functions of a module that never
/// return. `outside` names those elsewhere.
pub fn diverging(module: &Module<'_>, outside: &[&str]) -> HashSet<Place> {
    // No function returns until it is seen to; then its callers are looked at again.
    let mut silent: HashSet<Place> = module.functions().iter().flat_map(entries).collect();
    loop {
        let before = silent.len();
        for code in module.functions() {
            if silent.contains(&code.start) && returns(module, code, &silent, outside) {
                for entry in entries(code) {
                    silent.remove(&entry);
                }
            }
        }
        if silent.len() == before {
            return silent;
        }
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

fn returns(module: &Module<'_>, code: &Code, silent: &HashSet<Place>, outside: &[&str]) -> bool {
    let diverges = |target: &Leads| match target {
        Leads::To(place) => silent.contains(place),
        Leads::Outside(name) => outside.contains(&name.as_str()),
        Leads::Inside(index) => is_entry(code, *index) && silent.contains(&code.start),
        Leads::Anywhere => false,
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
