//! The control: the restore as the mail of 10 March 2016 has it, which can't work.

use super::flow::violation;
use super::module::{Code, Module};
use super::rule::{Rule, Violation};

/// Bytes from the restore's first half to its second.
const HALVES: u64 = 8;

/// Of what a function breaks, all that does not come of the mail's sequence: that
/// breaks one rule where it reads address 12, and one where it adds up what it has
/// got. A function that does not break them breaks another one.
pub fn unexpected(module: &Module<'_>, code: &Code, mut found: Vec<Violation>) -> Vec<Violation> {
    let offsets = |rule: Rule| {
        found
            .iter()
            .filter(move |v| v.rule == rule)
            .map(|v| v.offset)
    };
    let starts: Vec<u64> = offsets(Rule::ZeroBase).collect();
    let ends: Vec<u64> = offsets(Rule::BadRestore).collect();
    let expected = |start: &u64| ends.contains(&(start + HALVES));
    let as_posted = !starts.is_empty() && starts.iter().all(expected);
    found.retain(|v| match v.rule {
        Rule::ZeroBase => false,
        Rule::BadRestore => !starts.iter().any(|start| start + HALVES == v.offset),
        _ => true,
    });
    if !as_posted {
        let entry = (code.local / 4) as usize;
        found.push(violation(module, code, entry, Rule::NotAsPosted));
    }
    found
}
