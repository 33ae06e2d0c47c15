//! Controls for several CPUs: what goes right on one CPU by itself, because what a thread does
//! with interrupts off is over before another one runs.

use super::{controls, disturbance::text, functions, situation};
use alloc::{string::String, vec::Vec};
use ftrace::{Flags, FtraceError, Ops};
use layout::CallFrame;
use machine::{
    cpus,
    mm::code::CodeBlock,
    sync::IrqLock,
    text::{self, Change},
};
use ppc64::insn;

static NO_WAIT: Ops = Ops::new(
    "no wait",
    divert,
    Flags::CHANGES_NIP.union(Flags::RECURSION_SAFE),
);

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
extern "C" fn divert(_: u64, _: u64, _: &Ops, frame: &mut CallFrame) {
    frame.nip = do_not_wait as *const () as u64;
}

#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
extern "C" fn do_not_wait() {}

/// Lets the kernel wait for no other CPU any more: the number of a transition and its codes
/// appear in two steps, and a call may read one before and the other after.
///
/// # Errors
/// When tracing refuses.
pub fn take_wait_away() -> Result<(), String> {
    let site = ftrace::find_site(cpus::synchronise as *const () as u64);
    let site = site.ok_or("the wait for other CPUs has no site")?;
    ftrace::register_at(&NO_WAIT, &site).map_err(text)
}

/// Lets it wait again, if it does not.
///
/// # Errors
/// When tracing refuses.
pub fn give_wait_back() -> Result<(), String> {
    match ftrace::unregister(&NO_WAIT) {
        Ok(()) | Err(FtraceError::NotRegistered(_)) => Ok(()),
        Err(error) => Err(text(error)),
    }
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
    let block = CodeBlock::new(((end - start) / 4) as usize).map_err(text)?;
    let copied = |from: u64| {
        let address = block.start() + (from - start);
        let word = text::read(from);
        let moved = |to| insn::branch(address, to, false).map_err(text);
        let new = insn::branch_target(from, word).map_or(Ok(word), |to| moved(to.target))?;
        Ok(Change {
            address,
            expected: insn::TRAP,
            new,
        })
    };
    let words = (start..end).step_by(4).map(copied);
    let words: Vec<Change> = words.collect::<Result<_, String>>()?;
    // SAFETY: nothing runs in a fresh block before a site leads there.
    unsafe { text::apply(&words) }.map_err(text)?;
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
