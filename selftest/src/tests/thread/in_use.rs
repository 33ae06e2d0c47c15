//! A caller that a call will return to is in use: it must be seen at every instruction at
//! which a thread can be taken off the CPU, wherever the return address is kept.

use super::super::{
    common::{text, traced},
    in_steps,
};
use crate::check;
use alloc::{format, string::String};
use core::{
    ops::Range,
    slice,
    sync::atomic::{AtomicU64, Ordering},
};
use ftrace::{Flags, Ops};
use lab::{
    functions,
    instruments::sanitiser::{SanitisedCall, kernel_toc, sanitised_home},
};
use layout::{CallFrame, TrapFrame};
use machine::{
    symbols::{self, Place},
    sync::IrqLock,
};
use thread::backtrace::{self, What};
use tracing::graph;

/// The code that is looked for.
static WANTED: IrqLock<Range<u64>> = IrqLock::new(0..0);
/// From here on.
static BEGINS: AtomicU64 = AtomicU64::new(0);
static LOOKS: AtomicU64 = AtomicU64::new(0);
static MISSES: AtomicU64 = AtomicU64::new(0);
/// Where it was missed first.
static FIRST: AtomicU64 = AtomicU64::new(0);

fn look(frame: &mut TrapFrame) {
    if frame.nip == BEGINS.load(Ordering::Relaxed) {
        BEGINS.store(0, Ordering::Relaxed);
        // A local call need not have the entry in r12, where it would be found.
        frame.gpr[12] = 0;
    }
    if BEGINS.load(Ordering::Relaxed) != 0 {
        return;
    }
    LOOKS.fetch_add(1, Ordering::Relaxed);
    let wanted = WANTED.lock().clone();
    if !backtrace::caller_is_in(slice::from_ref(&wanted))
        && MISSES.fetch_add(1, Ordering::Relaxed) == 0
    {
        FIRST.store(frame.nip, Ordering::Relaxed);
    }
}

/// What a report of an interrupt must show, from the innermost outwards: calls from these
/// functions, by where they start and end.
static CALLERS: IrqLock<[Range<u64>; 2]> = IrqLock::new([const { 0..0 }; 2]);

/// The same for the report of an interrupt, in the code that is looked for.
fn look_at_report(frame: &mut TrapFrame) {
    if !WANTED.lock().contains(&frame.nip) {
        return;
    }
    LOOKS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the stack of the call that this handler has interrupted, on the same thread.
    let mut steps = unsafe { backtrace::steps(frame.gpr[1], true) };
    let shown = { CALLERS.lock().clone() }.map(|caller| {
        let step = steps.find(|step| caller.contains(&step.place()))?;
        Some(step.what)
    });
    if shown != [Some(What::Hooked); 2] && MISSES.fetch_add(1, Ordering::Relaxed) == 0 {
        FIRST.store(frame.nip, Ordering::Relaxed);
    }
}

/// The same for a report that must show each hooked call once, and nothing else of them.
fn look_at_hooks(frame: &mut TrapFrame) {
    if !WANTED.lock().contains(&frame.nip) {
        return;
    }
    LOOKS.fetch_add(1, Ordering::Relaxed);
    let (mut hooked, mut lost) = (0, 0);
    // SAFETY: as above.
    for step in unsafe { backtrace::steps(frame.gpr[1], true) } {
        hooked += usize::from(step.what == What::Hooked);
        lost += usize::from(step.code == graph::hook());
    }
    if (hooked, lost) != (graph::depth(), 0) && MISSES.fetch_add(1, Ordering::Relaxed) == 0 {
        FIRST.store(frame.nip, Ordering::Relaxed);
    }
}

/// The code of the function around an address.
fn code_around(address: u64) -> Result<Range<u64>, String> {
    let table = symbols::table().map_err(|error| format!("{error}"))?;
    let (symbol, _) = table.at(address).ok_or("no function is there")?;
    Ok(symbol.address..symbol.address + symbol.size)
}

/// Calls a function of one argument in single steps, and checks that `wanted` is seen to be in use
/// at every instruction from the one at `begins` on, or from the first.
fn seen_from(begins: Option<u64>, function: u64, wanted: Range<u64>) -> super::super::Result {
    BEGINS.store(begins.unwrap_or(0), Ordering::Relaxed);
    never_misses(look, function, wanted)
}

/// Calls a function of one argument in single steps, and checks that nothing is missed.
fn never_misses(visit: in_steps::Visit, function: u64, wanted: Range<u64>) -> super::super::Result {
    let mut call = SanitisedCall::local(function, kernel_toc(), &[]);
    call.arguments[0] = 5;
    *WANTED.lock() = wanted.clone();
    for count in [&LOOKS, &MISSES] {
        count.store(0, Ordering::Relaxed);
    }
    // SAFETY: the functions that the tests name take a number.
    unsafe { in_steps::make_whole(&mut call, visit) }?;
    let (looks, misses) = (
        LOOKS.load(Ordering::Relaxed),
        MISSES.load(Ordering::Relaxed),
    );
    check!(looks > 3, "only {looks} instructions were looked at");
    check!(
        misses == 0,
        "at {misses} of {looks} instructions {} was not seen to be in use, first at {}",
        Place(wanted.start),
        Place(FIRST.load(Ordering::Relaxed))
    );
    Ok(())
}

/// The same for the caller itself, which is the ABI sanitiser.
pub fn caller_is_seen(function: u64) -> super::super::Result {
    let home = sanitised_home();
    seen_from(None, function, code_around(home)?)
}

/// The same while the graph tracer hooks some functions.
pub fn caller_is_seen_behind_hooks(function: u64, hooked: &[&str]) -> super::super::Result {
    traced(&graph::OPS, hooked, || caller_is_seen(function))?
}

pub fn leaf() -> u64 {
    functions::lab_leaf as *const () as u64
}

/// A plain tracer.
static TRACER: Ops = Ops::new("in use", does_nothing, Flags::empty());

extern "C" fn does_nothing(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {}

crate::selftest! {
    /// Of a call without anything in between.
    fn plain_callers_are_seen() {
        caller_is_seen(leaf())
    }

    /// When the graph tracer keeps the return address: before, in and behind a leaf, in
    /// the trampoline and in the return hook.
    fn callers_of_hooked_leaves_are_seen() {
        caller_is_seen_behind_hooks(leaf(), &["lab_leaf"])
    }

    /// Two hooked functions that return to one caller, the second being called in the
    /// first one's place: one place on the stack, two entries.
    fn callers_of_hooked_tail_calls_are_seen() {
        let tail = functions::lab_tail as *const () as u64;
        caller_is_seen_behind_hooks(tail, &["lab_tail", "lab_leaf"])
    }

    /// Of two hooked functions, one inside the other, which leaves its frame open.
    fn callers_of_nested_hooked_calls_are_seen() {
        let outer = lab::targets::outer as *const () as u64;
        caller_is_seen_behind_hooks(outer, &["lab::targets::outer", "lab::targets::inner"])
    }

    /// The report of an interrupt in a hooked leaf shows its caller, and that one's, each
    /// by its own entry of the return stack.
    fn reports_show_the_callers_of_a_hooked_leaf() {
        let [outer, inner] = [lab::targets::outer as *const () as u64, lab::targets::inner as *const () as u64];
        let (code, site) = (code_around(inner)?, ftrace::find_site(inner).ok_or("the function has no site")?);
        *CALLERS.lock() = [code_around(outer)?, code_around(sanitised_home())?];
        // Behind the site, where the call has been hooked.
        let range = site.ip()..code.end;
        traced(&graph::OPS, &["lab::targets::outer", "lab::targets::inner"], || never_misses(look_at_report, outer, range))?
    }

    /// An entry of the return stack is the caller's of its own slot alone: a function that
    /// is not hooked, and is interrupted, takes none.
    fn reports_match_hooks_by_slot() {
        let [outer, inner] = [lab::targets::outer as *const () as u64, lab::targets::inner as *const () as u64];
        let code = code_around(inner)?;
        traced(&graph::OPS, &["lab::targets::outer"], || never_misses(look_at_hooks, outer, code))?
    }

    /// A function that a trampoline is about to enter is in use: from its own call of
    /// the trampoline on.
    fn traced_functions_are_seen() {
        let site = ftrace::find_site(leaf()).ok_or("the function has no site")?;
        ftrace::register_at(&TRACER, &site).map_err(text)?;
        let result = code_around(leaf()).and_then(|code| {
            // What comes behind the function's end is its caller's.
            seen_from(Some(site.address), leaf(), code.start..code.end)
        });
        ftrace::unregister(&TRACER).map_err(text)?;
        result
    }
}
