//! Direct calls that must not be.
//!
//! Of a replacement function, from within its module: a call past the hand-off runs the new
//! function whatever the thread's patch state is, and leaves no way to r2 in its caller's
//! frame. And of what lies at a fixed address in the kernel, from a module that has
//! another TOC: the kernel's function would have that in r2.

use super::flow::{Leads, is_entry, leads, violation};
use super::insn::Action;
use super::module::{Code, Module};
use super::prefixed;
use super::rule::{Rule, Violation};
use std::ptr;

/// The instructions of a function that call a replacement, or jump to one; and, unless the
/// module keeps the kernel's TOC, those that go to the kernel without a stub.
pub fn check(
    module: &Module<'_>,
    code: &Code,
    replacements: &[&Code],
    keeps_toc: bool,
) -> Vec<Violation> {
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
            Leads::Outside(name) => {
                if !keeps_toc && module.is_fixed(&name) {
                    found.push(violation(module, code, index, Rule::NoStub));
                }
                false
            }
            Leads::Anywhere => false,
        };
        if is_replacement {
            found.push(violation(module, code, index, Rule::CallsReplacement));
        }
    }
    found
}
