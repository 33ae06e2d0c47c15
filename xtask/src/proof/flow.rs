//! The ways through a function.

use super::diverge::Diverging;
use super::insn::{Action, Target};
use super::module::{Code, Module, Place};
use super::prefixed;
use super::rule::{Rule, Violation};
use super::state::State;
use super::step::Step;
use disasm::Line;

/// Where a branch leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Leads {
    /// To a word of the same function, by its index.
    Inside(usize),
    /// To another place in the module.
    To(Place),
    /// To a symbol outside.
    Outside(String),
    /// Not known.
    Anywhere,
}

/// Where the branch in a word of a function leads.
pub fn leads(module: &Module<'_>, code: &Code, index: usize, target: Target) -> Leads {
    let here = Place {
        section: code.start.section,
        offset: code.start.offset + 4 * index as u64,
    };
    let to = match (module.reference(here), target) {
        (_, Target::Lr | Target::Register) => return Leads::Anywhere,
        (Some(reference), _) if !reference.is_branch() => return Leads::Anywhere,
        (Some(reference), _) => match reference.to {
            Some(to) => to,
            None => return Leads::Outside(reference.name.clone()),
        },
        (None, Target::Relative(by)) => Place {
            section: here.section,
            offset: here.offset.wrapping_add_signed(by),
        },
        (None, Target::Absolute) => return Leads::Anywhere,
    };
    let into = to.offset.wrapping_sub(code.start.offset);
    if to.section == here.section && into.is_multiple_of(4) && into / 4 < code.words.len() as u64 {
        Leads::Inside((into / 4) as usize)
    } else {
        Leads::To(to)
    }
}

/// Whether the branch's target is one of the function's own entries.
pub fn is_entry(code: &Code, index: usize) -> bool {
    index == 0 || index as u64 * 4 == code.local
}

/// One function on the way through.
struct Walk<'a> {
    module: &'a Module<'a>,
    code: &'a Code,
    diverging: &'a Diverging<'a>,
    without_toc: bool,
}

impl Walk<'_> {
    /// Executes the instruction at a word. Returns the state after it and the words
    /// that may come next.
    fn step(&self, index: usize, before: &State, broken: &mut Vec<Rule>) -> (State, Vec<usize>) {
        let (insn, length) = prefixed::at(&self.code.words, index);
        let place = Place {
            section: self.code.start.section,
            offset: self.code.start.offset + 4 * index as u64,
        };
        let mut step = Step {
            state: *before,
            without_toc: self.without_toc,
            broken,
        };
        let mut next = Vec::new();
        let mut goes_on = true;
        match insn.action {
            Action::Branch {
                to,
                conditional,
                link,
            } => {
                goes_on = conditional;
                match (leads(self.module, self.code, index, to), link, to) {
                    (Leads::Inside(target), true, _) if is_entry(self.code, target) => {
                        step.call();
                        goes_on = true;
                    }
                    (Leads::Inside(_), true, _) => step.broken.push(Rule::Unknown),
                    // gcc's site: the loader makes it a nop.
                    (Leads::Outside(name), true, _) if name == modload::PROFILE => goes_on = true,
                    (Leads::Inside(target), false, _) => next.push(target),
                    (target, true, _) => {
                        step.call();
                        goes_on = conditional || !self.diverging.includes(&target);
                    }
                    (_, false, Target::Lr) => step.ret(),
                    (_, false, Target::Register) => step.broken.push(Rule::ComputedJump),
                    (_, false, _) => step.broken.push(Rule::TailCall),
                }
            }
            Action::Trap => goes_on = false,
            _ => step.execute(&insn, self.module.reference(place).is_some()),
        }
        if goes_on && index + length < self.code.words.len() {
            next.push(index + length);
        } else if goes_on {
            step.broken.push(Rule::RunsOff);
        }
        (step.state, next)
    }
}

/// What a replacement function breaks. `without_toc` says that r2 is a volatile register.
pub fn check(
    module: &Module<'_>,
    code: &Code,
    diverging: &Diverging<'_>,
    without_toc: bool,
) -> Vec<Violation> {
    let walk = Walk {
        module,
        code,
        diverging,
        without_toc,
    };
    let entry = (code.local / 4) as usize;
    let mut states: Vec<Option<State>> = vec![None; code.words.len()];
    if entry >= states.len() {
        return vec![violation(module, code, 0, Rule::RunsOff)];
    }
    // Until no state changes any more: what is known only ever gets less.
    states[entry] = Some(State::entry());
    let mut open = vec![entry];
    while let Some(index) = open.pop() {
        let Some(state) = states[index] else { continue };
        let (after, next) = walk.step(index, &state, &mut Vec::new());
        for target in next {
            let joined = states[target].map_or(after, |known| known.join(&after));
            if states[target] != Some(joined) {
                states[target] = Some(joined);
                open.push(target);
            }
        }
    }
    let mut found = Vec::new();
    for (index, state) in states.iter().enumerate() {
        if let Some(state) = state {
            let mut broken = Vec::new();
            walk.step(index, state, &mut broken);
            found.extend(
                broken
                    .into_iter()
                    .map(|rule| violation(module, code, index, rule)),
            );
        }
    }
    found
}

/// What an instruction of a function breaks.
pub fn violation(module: &Module<'_>, code: &Code, index: usize, rule: Rule) -> Violation {
    let offset = 4 * index as u64;
    let address = code.start.offset + offset;
    let word = code.words.get(index).copied().unwrap_or_default();
    let place = Place {
        section: code.start.section,
        offset: address,
    };
    let line = Line::new(address, word);
    let instruction = match module.reference(place) {
        // What the word says is not where it will lead.
        Some(reference) if reference.is_branch() && !reference.name.is_empty() => line
            .named(|_, f| write!(f, "{:#}", rustc_demangle::demangle(&reference.name)))
            .to_string(),
        _ => line.to_string(),
    };
    Violation {
        function: format!("{:#}", rustc_demangle::demangle(&code.name)),
        section: module.section_name(code.start.section),
        address,
        offset,
        instruction,
        rule,
    }
}
