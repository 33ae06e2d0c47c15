//! `livepatch-stack`: what its stack keeps is seen by a check of what is in use; the
//! stack has an end, and keeps clear of what lies beside it.

use super::super::{
    super::{in_steps, thread::in_use},
    enable, is_taken_back, load, quietly, remove, text, undisturbed, unload,
};
use crate::check;
use alloc::{format, string::String};
use core::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};
use ftrace::{Flags, Ops};
use lab::{
    functions::{self, DEPTH},
    instruments::sanitiser::{SanitisedCall, kernel_toc},
    single_step::Fault,
};
use layout::{CallFrame, TrapFrame};
use livepatch as klp;
use livepatch::variants;
use loader::ModuleError;
use machine::{arch, mmu, stack, sync::IrqLock, time};
use ppc64::vector;

/// Runs something while the patch `cases` is enabled by `livepatch-stack`.
fn with_livepatch_stack(
    body: impl FnOnce() -> super::super::super::Result,
) -> super::super::super::Result {
    // Tables grow to what the patch needs, once.
    quietly(|| by_livepatch_stack(|| Ok(())))?;
    undisturbed(|| by_livepatch_stack(body))
}

fn by_livepatch_stack(
    body: impl FnOnce() -> super::super::super::Result,
) -> super::super::super::Result {
    variants::choose("livepatch-stack").map_err(text)?;
    let result = enable("cases").and_then(|()| {
        let result = body();
        klp::wait();
        // The patch has been taken back if its function has faulted.
        if klp::find("cases").is_some() {
            remove("cases")?;
        } else {
            unload("cases")?;
        }
        result
    });
    variants::choose(variants::VARIANTS[0].name).map_err(text)?;
    result
}

/// A plain tracer, which lets calls take the long way.
static TRACER: Ops = Ops::new("long way", traced, Flags::empty());

extern "C" fn traced(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {}

/// What unloading said in front of the replacement's first instruction.
static SAID: IrqLock<Option<bool>> = IrqLock::new(None);
static FIRST: AtomicU64 = AtomicU64::new(0);

fn try_to_unload(frame: &mut TrapFrame) {
    if frame.nip == FIRST.load(Ordering::Relaxed) {
        let name = "cases-target";
        *SAID.lock() = Some(matches!(loader::unload(name), Err(ModuleError::Running(_))));
    }
}

/// The replacement of `lab_leaf`.
fn new_leaf() -> Result<u64, String> {
    let found = loader::find("cases").and_then(|module| module.function("cases::leaf"));
    found.ok_or_else(|| "the patch has no `cases::leaf`".into())
}

/// How many bytes of the livepatch stack are to be left free at the next stop; then [`u64::MAX`].
static FREE: AtomicU64 = AtomicU64::new(u64::MAX);

fn leave_free(_: &mut TrapFrame) {
    let free = FREE.swap(u64::MAX, Ordering::Relaxed);
    if free != u64::MAX {
        // The guard between the two stacks.
        arch::set_livepatch_stack(stack::guard() - free);
    }
}

/// What a thread has found that it had taken along otherwise than it was.
static SPOILT: AtomicU64 = AtomicU64::new(0);
static TICKS: AtomicU64 = AtomicU64::new(0);
const TAKEN: u64 = 0x0123_4567_89ab_cdef;

fn on_tick() {
    TICKS.fetch_add(1, Ordering::Relaxed);
    black_box(functions::lab_leaf(1));
}

/// Starts a thread that adds 1 to a number.
fn begin(number: &'static AtomicU64) -> Result<(), String> {
    let body = move || {
        number.fetch_add(1, Ordering::Relaxed);
    };
    let handle = thread::spawn("begins", body).map_err(text)?;
    handle.join().map_err(text)
}

/// What that thread has added.
static ADDED: AtomicU64 = AtomicU64::new(0);

crate::selftest! {
    /// What a thread takes along is whole when it is taken up, though the hand-off to a
    /// replacement of that function has pushed before.
    fn what_a_thread_takes_along_is_not_pushed_upon() {
        const PATCH: &str = "test_klp_begins";
        undisturbed(|| {
            begin(&ADDED)?;
            variants::choose("livepatch-stack").map_err(text)?;
            let result = enable(PATCH).and_then(|()| {
                let result = begin(&ADDED);
                klp::wait();
                // It has been taken back if its function has faulted.
                if klp::find(PATCH).is_some() {
                    remove(PATCH)?;
                } else {
                    unload(PATCH)?;
                }
                result
            });
            variants::choose(variants::VARIANTS[0].name).map_err(text)?;
            result?;
            let added = ADDED.swap(0, Ordering::Relaxed);
            check!(added == 101, "two threads have added {added}");
            Ok(())
        })
    }

    /// The caller of a replaced leaf is seen to be in use at every instruction: in the
    /// hand-off, in the replacement before it has saved LR and after it has closed its
    /// frame, and in the code that it returns to.
    fn callers_of_replaced_leaves_are_seen() {
        with_livepatch_stack(|| in_use::caller_is_seen(in_use::leaf()))
    }

    /// The same by the trampoline.
    fn callers_by_the_long_way_are_seen() {
        with_livepatch_stack(|| {
            let site = ftrace::find_site(in_use::leaf()).ok_or("the function has no site")?;
            ftrace::register_at(&TRACER, &site).map_err(text)?;
            let result = in_use::caller_is_seen(in_use::leaf());
            ftrace::unregister(&TRACER).map_err(text)?;
            result
        })
    }

    /// The same when the graph tracer hooks the old function, the new one, or both.
    fn callers_of_hooked_replacements_are_seen() {
        with_livepatch_stack(|| {
            for hooked in [&["lab_leaf"][..], &["cases::leaf"], &["lab_leaf", "cases::leaf"]] {
                in_use::caller_is_seen_behind_hooks(in_use::leaf(), hooked)
                    .map_err(|error| format!("{hooked:?} hooked: {error}"))?;
            }
            Ok(())
        })
    }

    /// A module is not unloaded if its function has called a replaced leaf, although the
    /// only copy of the address is on the livepatch stack.
    fn livepatch_stacks_hold_modules() {
        with_livepatch_stack(|| {
            let module = load("cases-target")?;
            let caller = module.function("cases_target::calls_kernel");
            let caller = caller.ok_or("the module has no such function")?;
            let mut call = SanitisedCall::through_pointer(caller, 0, &[]);
            drop(module);
            FIRST.store(new_leaf()?, Ordering::Relaxed);
            *SAID.lock() = None;
            // SAFETY: the function takes a number, and sets up its own TOC.
            let whole = unsafe { in_steps::make_whole(&mut call, try_to_unload) };
            let said = SAID.lock().take();
            check!(said == Some(true), "unloading in front of the replacement: {said:?}");
            whole?;
            unload("cases-target")
        })
    }

    /// A recursion of replaced calls, deeper than 256, ends with a report and with the
    /// thread stopped, at the end of one of its two stacks.
    fn recursion_ends_at_a_guard() {
        // In real mode nothing stops it.
        if !mmu::is_on() {
            return Ok(());
        }
        with_livepatch_stack(|| {
            DEPTH.store(0, Ordering::Relaxed);
            // Twice the usual stack ends so far below that an interrupt on it, which needs room of its own,
            // comes nowhere near the bound.
            let body = || { black_box(functions::endless(1)); };
            let handle = thread::spawn_with_stack("endless", 2 * thread::STACK_BYTES, body);
            let ended = handle.map_err(text)?.join();
            let depth = DEPTH.load(Ordering::Relaxed);
            check!(ended.is_err(), "it has returned");
            is_taken_back("cases")?;
            check!(depth > 256, "stopped at depth {depth}");
            Ok(())
        })
    }

    /// The hand-off faults when its entry would not fit on the livepatch stack any more, to the byte.
    fn the_hand_off_keeps_the_bound() {
        const ENTRY: u64 = 24;
        if !mmu::is_on() {
            return Ok(());
        }
        with_livepatch_stack(|| {
            for free in (0..2 * ENTRY).step_by(8) {
                let mut call = SanitisedCall::local(in_use::leaf(), kernel_toc(), &[]);
                FREE.store(free, Ordering::Relaxed);
                // SAFETY: the function takes a number.
                let fault = unsafe { in_steps::make(&mut call, leave_free) };
                let by = |fault: Fault| (fault.vector, loader::is_code(fault.address));
                let expected = (free < ENTRY).then_some((vector::DATA_STORAGE, false));
                let found = fault.map(by);
                check!(found == expected, "with {free} bytes free: {found:x?} instead of {expected:x?}");
            }
            Ok(())
        })
    }

    /// A thread takes up what it was given before an interrupt can come with a handler
    /// that calls a replaced function.
    fn closures_are_taken_up_first() {
        with_livepatch_stack(|| {
            for count in [&SPOILT, &TICKS] {
                count.store(0, Ordering::Relaxed);
            }
            time::call_on_tick(on_tick);
            for _ in 0..50 {
                let taken = [TAKEN; 16];
                let off = arch::interrupts_off();
                let handle = thread::spawn("fresh", move || {
                    if black_box(taken) != [TAKEN; 16] {
                        SPOILT.fetch_add(1, Ordering::Relaxed);
                    }
                });
                // A tick is due the moment that interrupts come on.
                arch::set_decrementer(-1);
                thread::yield_now();
                drop(off);
                handle.map_err(text)?.join().map_err(text)?;
            }
            time::stop_calling();
            let (spoilt, ticks) = (SPOILT.load(Ordering::Relaxed), TICKS.load(Ordering::Relaxed));
            check!(ticks >= 25, "only {ticks} ticks");
            check!(spoilt == 0, "{spoilt} of 50 threads found what they took along overwritten");
            Ok(())
        })
    }
}
