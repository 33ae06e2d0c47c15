//! `livepatch-stack`: what its stack keeps is seen by a check of what is in use; the
//! stack has an end, and keeps clear of what lies beside it.

use super::super::{
    super::{in_steps, thread::in_use},
    enable, load, quietly, remove, text, undisturbed, unload,
};
use crate::check;
use alloc::{format, string::String};
use core::{
    hint::black_box,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
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
use machine::{arch, sync::IrqLock, time};
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

/// The least that was left between the two stacks, and the number of looks.
static LEAST: AtomicU64 = AtomicU64::new(u64::MAX);
static LOOKS: AtomicUsize = AtomicUsize::new(0);

/// Looks at the two stacks, in front of a function that a replacement calls.
static MEASURES: Ops = Ops::new("measures", measures, Flags::RECURSION_SAFE);

extern "C" fn measures(_: u64, _: u64, _: &Ops, frame: &mut CallFrame) {
    let top = thread::with_current(|thread| thread.livepatch_stack().1).unwrap_or(0);
    let left = frame.header.back_chain.saturating_sub(top);
    LEAST.fetch_min(left, Ordering::Relaxed);
    LOOKS.fetch_add(1, Ordering::Relaxed);
}

/// Bytes between r1 and the stack's floor, to be set at the next stop; then
/// [`u64::MAX`].
static DISTANCE: AtomicU64 = AtomicU64::new(u64::MAX);
/// Where the next entry of the livepatch stack would lie then, and what is there.
static NEXT: AtomicU64 = AtomicU64::new(0);
const UNTOUCHED: [u64; 3] = [0x1d1e_1f20_2122_2324; 3];

fn raise_the_floor(frame: &mut TrapFrame) {
    let distance = DISTANCE.swap(u64::MAX, Ordering::Relaxed);
    if distance == u64::MAX {
        return;
    }
    let floor = frame.gpr[1] - distance;
    let next = floor - layout::INTERRUPT_ROOM as u64;
    arch::set_stack_floor(floor);
    // SAFETY: far below r1, where this handler does not get to; the thread's own stack.
    unsafe { (next as *mut [u64; 3]).write_volatile(UNTOUCHED) };
    NEXT.store(next, Ordering::Relaxed);
}

/// What a thread has found that it had taken along otherwise than it was.
static SPOILT: AtomicU64 = AtomicU64::new(0);
static TICKS: AtomicU64 = AtomicU64::new(0);
const TAKEN: u64 = 0x0123_4567_89ab_cdef;

fn on_tick() {
    TICKS.fetch_add(1, Ordering::Relaxed);
    black_box(functions::lab_leaf(1));
}

crate::selftest! {
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
    /// thread stopped. Until then an interrupt always fits between the two stacks.
    fn recursion_ends_before_the_stacks_meet() {
        with_livepatch_stack(|| {
            let note = functions::note_depth as *const () as u64;
            let site = ftrace::find_site(note).ok_or("the function has no site")?;
            LEAST.store(u64::MAX, Ordering::Relaxed);
            LOOKS.store(0, Ordering::Relaxed);
            DEPTH.store(0, Ordering::Relaxed);
            ftrace::register_at(&MEASURES, &site).map_err(text)?;
            let handle = thread::spawn("endless", || { black_box(functions::endless(1)); });
            let ended = handle.map_err(text)?.join();
            ftrace::unregister(&MEASURES).map_err(text)?;
            let (least, depth) = (LEAST.load(Ordering::Relaxed), DEPTH.load(Ordering::Relaxed));
            check!(ended.is_err(), "it has returned");
            check!(depth > 256, "stopped at depth {depth}");
            check!(
                least >= layout::INTERRUPT_ROOM as u64,
                "at depth {depth}, {least} bytes were left between the stacks; an interrupt takes up to {}",
                layout::INTERRUPT_ROOM
            );
            Ok(())
        })
    }

    /// The hand-off traps when an interrupt would not fit between the stacks any more,
    /// to the byte, and has written nothing then.
    fn the_hand_off_keeps_the_bound() {
        const ENTRY: u64 = 24;
        const FRAME: u64 = 32;
        with_livepatch_stack(|| {
            for distance in (0..2 * FRAME + ENTRY).step_by(8) {
                let mut call = SanitisedCall::local(in_use::leaf(), kernel_toc(), &[]);
                DISTANCE.store(distance, Ordering::Relaxed);
                // SAFETY: the function takes a number.
                let fault = unsafe { in_steps::make(&mut call, raise_the_floor) };
                let next = NEXT.load(Ordering::Relaxed) as *const [u64; 3];
                // SAFETY: this thread's stack, as when it was written.
                let is_untouched = unsafe { next.read_volatile() } == UNTOUCHED;
                let by = |fault: Fault| (fault.vector, loader::is_code(fault.address));
                // The replacement looks again, with a frame of its own.
                let expected = match distance {
                    0..ENTRY => (Some((vector::PROGRAM, false)), true),
                    ENTRY..56 => (Some((vector::PROGRAM, true)), false),
                    _ => (None, false),
                };
                let found = (fault.map(by), is_untouched);
                check!(found == expected, "{distance} bytes above the floor: {found:x?} instead of {expected:x?}");
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
