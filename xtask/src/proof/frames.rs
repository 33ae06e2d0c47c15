//! The frames of a module's functions, whatever else they do: how much stack each
//! can open.
//!
//! This looks at every instruction of a function once, in the order of their
//! addresses, so that nothing is missed that only a jump table leads to. It adds up
//! whatever any instruction opens, and knows what compilers do to close a frame.
//! A frame is opened by a store of the back chain with update (`stdu`, `stdux`): with the
//! limit, that is why it can't step over a guard. Any other way is a violation.

use super::flow::violation;
use super::insn::{Action, Insn, Operand, bit};
use super::module::{Code, Module};
use super::prefixed;
use super::rule::{Rule, Violation};
use super::state::R1;
use klp::MOST_FRAME;

/// What an instruction that writes r1 does to the stack.
enum Change {
    /// Makes it larger by so many bytes.
    Opens(u64),
    /// Makes it smaller, or leaves it.
    Closes,
    /// Changes it by an unknown amount.
    Unknown,
}

/// The instructions of a function that open more stack than a function of a module may
/// have, or an unknown amount.
pub fn check(module: &Module<'_>, code: &Code) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut numbers: [Option<i64>; 32] = [None; 32];
    let mut open = 0_u64;
    let mut next = 0;
    while next < code.words.len() {
        let index = next;
        let (insn, length) = prefixed::at(&code.words, index);
        next += length;
        if insn.writes & bit(R1) != 0 {
            match change(&insn, &numbers) {
                Change::Opens(bytes) => {
                    open = open.saturating_add(bytes);
                    if open > MOST_FRAME as u64 {
                        let rule = Rule::FrameTooLarge { bytes: open };
                        found.push(violation(module, code, index, rule));
                    }
                }
                Change::Closes => {}
                Change::Unknown => {
                    found.push(violation(module, code, index, Rule::UnknownFrame));
                }
            }
        }
        note(&insn, &mut numbers);
    }
    found
}

fn change(insn: &Insn, numbers: &[Option<i64>; 32]) -> Change {
    match insn.action {
        // With an update, from r1: `stdu`, `stdux`.
        Action::Store {
            rs: Some(R1),
            at,
            size: 8,
            update: true,
        } if at.base == Some(R1) => match at.add {
            Operand::Number(by) if by < 0 => Change::Opens(by.unsigned_abs()),
            // The number may be another one if some branch leads in between. It is
            // believed when it is too large anyway.
            Operand::Register(register) => match numbers[register] {
                Some(by) if by < -(MOST_FRAME as i64) => Change::Opens(by.unsigned_abs()),
                _ => Change::Unknown,
            },
            Operand::Number(_) | Operand::FromHere(_) => Change::Unknown,
        },
        // By a number, or back to where a frame pointer is: `addi`, `mr`.
        Action::Add {
            base: Some(_),
            add: Operand::Number(by),
            ..
        } if by >= 0 => Change::Closes,
        Action::Or { value: 0, .. } => Change::Closes,
        // By the back chain.
        Action::Load {
            rt: Some(R1),
            at,
            update: false,
            ..
        } if at.base == Some(R1) && at.add == Operand::Number(0) => Change::Closes,
        _ => Change::Unknown,
    }
}

/// Notes which registers hold numbers, to name the sizes of large frames: `li`,
/// `lis`, `ori`.
fn note(insn: &Insn, numbers: &mut [Option<i64>; 32]) {
    let value = match insn.action {
        Action::Add {
            base: None,
            add: Operand::Number(number),
            ..
        } => Some(number),
        Action::Or { rs, value, .. } => numbers[rs].map(|number| number | value),
        _ => None,
    };
    for (register, number) in numbers.iter_mut().enumerate() {
        if insn.writes & bit(register) != 0 {
            *number = value;
        }
    }
}
