//! Calls of replacement functions from within their module.
//!
//! A replacement restores r2 from the word that the hand-off has left in its caller's
//! frame. A caller that bypasses the hand-off has left nothing there.

use super::flow::{Leads, is_entry, leads, violation};
use super::insn::Action;
use super::module::{Code, Module};
use super::prefixed;
use super::rule::{Rule, Violation};
use std::ptr;

/// The instructions of a function that call a replacement, or jump to one.
pub fn check(module: &Module<'_>, code: &Code, replacements: &[&Code]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut next = 0;
    while next < code.words.len() {
        let index = next;
        let (insn, length) = prefixed::at(&code.words, index);
        next += length;
        let Action::Branch { to, link, .. } = insn.action else {
            continue;
        };
        let is_replacement = match leads(module, code, index, to) {
            // A loop may lead back to the first instruction.
            Leads::Inside(target) => {
                link && is_entry(code, target) && replacements.iter().any(|one| ptr::eq(*one, code))
            }
            Leads::To(place) => replacements.iter().any(|one| {
                let words = place.offset.checked_sub(one.start.offset);
                let inside = words.is_some_and(|bytes| is_entry(one, bytes as usize / 4));
                place.section == one.start.section && inside
            }),
            Leads::Outside(_) | Leads::Anywhere => false,
        };
        if is_replacement {
            found.push(violation(module, code, index, Rule::CallsReplacement));
        }
    }
    found
}
