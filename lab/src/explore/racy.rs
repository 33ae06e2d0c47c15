//! Controls for several CPUs: what goes right on one CPU by itself, because what a thread does
//! with interrupts off is over before another one runs.

use super::{controls, disturbance::text, functions, situation};
use alloc::{format, string::String, vec::Vec};
use machine::{mm::code::CodeBlock, symbols, sync::IrqLock, text};
use ppc64::{
    insn,
    opcode::{BC, primary},
};

/// Where a call looks at a transition's number for the second time, and goes back if it has changed.
const DIVERT: &str = "livepatch::patched::divert";
/// What it goes back by.
const AGAIN: &str = "livepatch::patched::divert_again";

/// The branch that was taken out, by its address.
static TAKEN_OUT: IrqLock<Option<(u64, u32)>> = IrqLock::new(None);

/// Where a branch leads that is taken by a condition (B-form; ISA Book I, 2.4).
fn conditional_target(at: u64, word: u32) -> Option<u64> {
    let displacement = i64::from((word as u16 & !3).cast_signed());
    (primary(word) == BC).then_some(at.wrapping_add_signed(displacement))
}

/// The branch in a function that leads to a jump into another one.
fn branch_that_leads_to(function: &str, other: &str) -> Option<(u64, u32)> {
    /// Instructions that hand on the arguments.
    const BEFORE_JUMP: u64 = 4;
    let range = |path| {
        let start = symbols::find(path).ok()?.address;
        Some(start..start + symbols::size_at(start)?)
    };
    let (function, other) = (range(function)?, range(other)?);
    let words = |from: u64, to: u64| (from..to).step_by(4).map(|at| (at, text::read(at)));
    let leads_there = |&(at, word): &(u64, u32)| {
        let Some(target) = conditional_target(at, word) else {
            return false;
        };
        let jump = words(target, target + 4 * BEFORE_JUMP)
            .find_map(|(at, word)| insn::branch_target(at, word));
        jump.is_some_and(|jump| other.contains(&jump.target))
    };
    words(function.start, function.end).find(leads_there)
}

/// Lets calls look at the number of a transition once, not twice: they may go by the number of
/// one and by the code of the next, for those appear in two steps.
///
/// # Errors
/// When the branch is not found, or the writer refuses.
pub fn take_second_look_out() -> Result<(), String> {
    let (at, word) = branch_that_leads_to(DIVERT, AGAIN)
        .ok_or_else(|| format!("no branch of {DIVERT} leads to {AGAIN}"))?;
    *TAKEN_OUT.lock() = Some((at, word));
    // SAFETY: the code behind it goes by what was read.
    unsafe { controls::change(at, word, insn::NOP) }
}

/// Lets them look twice again, if they don't.
///
/// # Errors
/// When the writer refuses.
pub fn put_second_look_back() -> Result<(), String> {
    let taken_out = TAKEN_OUT.lock().take();
    taken_out.map_or(Ok(()), |(at, word)| {
        // SAFETY: the word was there before.
        unsafe { controls::change(at, insn::NOP, word) }
    })
}

/// A copy of the settled stub, and the word of the site that does not lead there.
static COPY: IrqLock<Option<(CodeBlock, u32)>> = IrqLock::new(None);

/// Sends the function's calls through a copy of its settled stub.
///
/// # Errors
/// When calls don't take the short way, or the copy can't be made.
pub fn settle_by_a_copy() -> Result<(), String> {
    let (start, end) = livepatch::way_of(functions::value as *const () as u64)
        .ok_or("calls don't take the short way")?;
    let mut block = CodeBlock::new(((end - start) / 4) as usize).map_err(text)?;
    let copied = |from: u64| {
        let word = text::read(from);
        let address = block.start() + (from - start);
        let moved = |to| insn::branch(address, to, false).map_err(text);
        insn::branch_target(from, word).map_or(Ok(word), |to| moved(to.target))
    };
    let words = (start..end).step_by(4).map(copied);
    let words: Vec<u32> = words.collect::<Result<_, String>>()?;
    // SAFETY: nothing runs in a fresh block before a site leads there.
    unsafe { block.write(&words) }.map_err(text)?;
    let site = situation::site()?.address;
    let there = insn::branch(site, block.start(), true).map_err(text)?;
    let word = text::read(site);
    // The block belongs to the control before the site leads there.
    *COPY.lock() = Some((block, word));
    // SAFETY: the copy does what the stub does.
    unsafe { controls::change(site, word, there) }
}

/// Takes the copy out of use. It is still whole then.
fn leave_copy() -> Result<Option<CodeBlock>, String> {
    let Some((block, word)) = COPY.lock().take() else {
        return Ok(None);
    };
    let site = situation::site()?.address;
    // SAFETY: the word was the site's before.
    unsafe { controls::change(site, text::read(site), word) }?;
    Ok(Some(block))
}

/// What a naive writer would do: takes the copy out of use, and frees it at once. Free code
/// memory holds zeros, which are no instruction.
///
/// # Errors
/// When the writer refuses.
pub fn free_at_once() -> Result<(), String> {
    leave_copy()?
        .map(drop)
        .ok_or_else(|| "there is no copy".into())
}

/// Takes the copy out of use and frees it, if there is one. No call is on its way.
///
/// # Errors
/// When the writer refuses.
pub fn remove_copy() -> Result<(), String> {
    leave_copy().map(drop)
}
