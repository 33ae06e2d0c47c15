//! Stack walks that say whether they can be relied on.

use super::{deep, join, spawn, until};
use crate::{
    check,
    tests::common::{text, traced},
};
use alloc::{format, string::String, vec::Vec};
use consistency::Ranges;
use core::{
    hint::spin_loop,
    ops::Range,
    slice,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    time::Duration,
};
use ftrace::{Flags, Ops};
use lab::instruments::specimen;
use layout::{CallFrame, FrameHeader};
use machine::{
    arch, mm,
    mmu::{self, PAGE, Rights},
    symbols::Place,
    time,
};
use thread::{
    Activity, Handle, State, Thread,
    backtrace::{self, Real, Returns, Step, Unreliable, What},
};
use tracing::graph;

/// What is found on a stack that can be relied on, or why it can't.
type Looked = Result<backtrace::Found, Unreliable>;

/// Looks for code on another thread's stack.
fn look(thread: &Thread, wanted: &[Range<u64>]) -> Looked {
    let wanted = Ranges::new(wanted.iter().cloned());
    backtrace::check(thread, &wanted)
}

fn steps(thread: &Thread) -> Vec<Step> {
    backtrace::steps_of(thread, |steps| steps.collect())
}

/// A thread that is parked ten calls deep.
fn parked() -> Result<Handle, String> {
    let handle = spawn("parked", || {
        deep::call(&thread::park);
    })?;
    until("its park", || handle.thread().state() == State::Asleep)?;
    Ok(handle)
}

fn unpark(handle: Handle) -> super::super::Result {
    handle.thread().unpark();
    join(handle)
}

/// Expects each of the ten functions to be found by itself, the innermost before the
/// others, and nothing else.
fn finds_all_ten(thread: &Thread) -> super::super::Result {
    let codes = deep::codes()?;
    for code in &codes {
        let found = look(thread, slice::from_ref(code));
        check!(
            found == Ok(Some(code.start)),
            "{}: {found:?}",
            Place(code.start)
        );
    }
    let found = look(thread, &codes);
    check!(found == Ok(Some(codes[9].start)), "of all: {found:x?}");
    let elsewhere = deep::code_of(lab::targets::leaf as *const () as u64)?;
    let found = look(thread, &[elsewhere]);
    check!(
        found == Ok(None),
        "a function that is not there: {found:x?}"
    );
    Ok(())
}

/// What the innermost frame's back chain is, to be damaged.
fn chain_of(thread: &Thread) -> Result<*mut u64, String> {
    let Activity::Waiting(r1) = thread.activity() else {
        return Err(format!("{thread:?} does not wait"));
    };
    Ok(r1 as *mut u64)
}

/// The name of the function at the outer end of a thread's stack.
fn outermost(steps: &[Step]) -> String {
    steps
        .last()
        .map_or(String::new(), |step| format!("{}", Place(step.place())))
}

/// Sends one thread to sleep inside an interrupt: called at a tick's beginning.
static DOZE: Ops = Ops::new("doze", doze, Flags::empty());
static WHO: AtomicU32 = AtomicU32::new(u32::MAX);
static DOZES: AtomicBool = AtomicBool::new(false);

extern "C" fn doze(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    let me = thread::with_current(Thread::id);
    if me == Some(WHO.load(Ordering::Relaxed)) && DOZES.load(Ordering::Relaxed) {
        // The tick has not set the next one yet.
        arch::set_decrementer(time::timebase_ticks(Duration::from_micros(500)) as i32);
        while DOZES.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_micros(500));
        }
    }
}

/// A hand-off that keeps one return address, which is found by its slot.
static KEEPER: Returns = Returns {
    helper: nowhere,
    real: Real::BySlot(|_, slot| {
        let [at, real] = [&KEPT[0], &KEPT[1]].map(|word| word.load(Ordering::Relaxed));
        (slot == at).then_some(real)
    }),
};
static KEPT: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

extern "C" fn nowhere() {}

/// A callback that sleeps until it is let go.
static NAPS: Ops = Ops::new("naps", naps, Flags::empty());
static LET_GO: AtomicBool = AtomicBool::new(false);

extern "C" fn naps(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    while !LET_GO.load(Ordering::Relaxed) {
        thread::park();
    }
}

crate::selftest! {
    /// Every function on a sleeping thread's stack is found.
    fn sleeping_stacks_are_reliable() {
        let handle = parked()?;
        let result = finds_all_ten(handle.thread());
        let steps = steps(handle.thread());
        unpark(handle)?;
        result?;
        check!(outermost(&steps).starts_with("thread_begin+"), "begins in {}", outermost(&steps));
        Ok(())
    }

    /// So it is for the running one, from its caller outwards.
    fn running_stack_is_reliable() {
        let (codes, result) = (deep::codes()?, spin::Mutex::new(Vec::new()));
        deep::call(&|| {
            let me = thread::current();
            let mut result = result.lock();
            for code in &codes {
                let wanted = Ranges::new([code.clone()]);
                result.push(backtrace::check_running(&me, &wanted));
            }
        });
        for (found, code) in result.lock().iter().zip(&codes) {
            check!(*found == Ok(Some(code.start)), "{}: {found:x?}", Place(code.start));
        }
        let none = backtrace::check_running(&thread::current(), &Ranges::new(codes));
        check!(none == Ok(None), "after they have returned: {none:x?}");
        Ok(())
    }

    /// Neither can that of a thread that waits inside an interrupt.
    fn interrupts_on_the_way_are_seen() {
        static STOP: AtomicBool = AtomicBool::new(false);
        STOP.store(false, Ordering::Relaxed);
        let handle = spawn("dozer", || while !STOP.load(Ordering::Relaxed) { spin_loop() })?;
        DOZES.store(true, Ordering::Relaxed);
        WHO.store(handle.thread().id(), Ordering::Relaxed);
        let (found, activity) = traced(&DOZE, &["machine::time::tick"], || {
            let asleep = until("its doze", || handle.thread().state() == State::Asleep);
            let found = look(handle.thread(), &[]);
            let activity = handle.thread().activity();
            DOZES.store(false, Ordering::Relaxed);
            STOP.store(true, Ordering::Relaxed);
            join(handle)?;
            WHO.store(u32::MAX, Ordering::Relaxed);
            asleep.map(|()| (found, activity))
        })??;
        check!(matches!(activity, Activity::Waiting(_)), "{activity:x?}");
        check!(matches!(found, Err(Unreliable::InterruptFrame { .. })), "{found:x?}");
        Ok(())
    }

    /// Functions are found if their returns were hooked by a tracer that came and went
    /// while the thread slept in them; without the return stack they can't be.
    fn hooked_returns_are_resolved() {
        let handle = traced(&graph::OPS, &[deep::PATTERN], parked)??;
        let result = finds_all_ten(handle.thread());
        let hooked = steps(handle.thread()).iter().filter(|step| step.what == What::Hooked).count();
        let used = &handle.thread().returns.used;
        let depth = used.swap(3, Ordering::Relaxed);
        let without = look(handle.thread(), &[]);
        used.store(depth, Ordering::Relaxed);
        unpark(handle)?;
        result?;
        check!(hooked == 10 && depth == 10, "{hooked} of {depth} hooked returns");
        check!(without == Err(Unreliable::HookedReturn), "{without:x?}");
        Ok(())
    }

    /// A thread that sleeps in a callback, in front of a function, is in that function,
    /// which has no frame yet.
    fn functions_about_to_begin_are_found() {
        let leaf = lab::targets::leaf as *const () as u64;
        let code = deep::code_of(leaf)?;
        LET_GO.store(false, Ordering::Relaxed);
        let found = traced(&NAPS, &["lab::targets::leaf"], || {
            let handle = spawn("napping", || { core::hint::black_box(lab::targets::leaf(1)); })?;
            let asleep = until("its nap", || handle.thread().state() == State::Asleep);
            let found = look(handle.thread(), slice::from_ref(&code));
            LET_GO.store(true, Ordering::Relaxed);
            handle.thread().unpark();
            join(handle)?;
            asleep.map(|()| found)
        })??;
        check!(found == Ok(Some(code.start)), "{found:x?}");
        Ok(())
    }

    /// A return address that a hand-off keeps by its slot is found, by reports, by the check and
    /// by freeing; and freeing finds it also when the slot does not say so.
    fn returns_kept_by_slot_are_found() {
        let handle = parked()?;
        let frame = chain_of(handle.thread())?;
        // SAFETY: frames of a thread that sleeps until it is unparked.
        let slot = unsafe { (*(*frame as *mut FrameHeader)).back_chain } as *mut FrameHeader;
        // SAFETY: as above.
        let slot = unsafe { &raw mut (*slot).lr_save };
        // SAFETY: as above.
        let real = unsafe { slot.read() };
        let usual = steps(handle.thread());
        KEPT[0].store(slot.addr() as u64, Ordering::Relaxed);
        KEPT[1].store(real, Ordering::Relaxed);
        backtrace::set_returns(Some(&KEEPER));
        let wanted = real - 4..real + 4;
        let in_use = |there: u64| {
            // SAFETY: as above; it is put back before the thread runs.
            unsafe { slot.write(there) };
            backtrace::any_in(slice::from_ref(&wanted))
        };
        let here = [nowhere as *const () as u64, 0].map(in_use);
        // SAFETY: as above.
        unsafe { slot.write(nowhere as *const () as u64) };
        let found = look(handle.thread(), slice::from_ref(&wanted));
        let told = steps(handle.thread());
        KEPT[0].store(0, Ordering::Relaxed);
        let lost = look(handle.thread(), &[]);
        // SAFETY: as above.
        unsafe { slot.write(real) };
        backtrace::set_returns(None);
        unpark(handle)?;
        let codes = |steps: &[Step]| Vec::from_iter(steps.iter().map(|step| step.code));
        check!(here == [true, true], "in use: {here:?}");
        check!(found == Ok(Some(real - 4)), "{found:x?}");
        check!(codes(&told) == codes(&usual), "{told:x?} instead of {usual:x?}");
        check!(told.iter().filter(|step| step.what == What::Helped).count() == 1, "{told:x?}");
        check!(lost == Err(Unreliable::HookedReturn), "{lost:x?}");
        Ok(())
    }

    /// A tracer that comes while the thread sleeps changes nothing for it, and the
    /// thread comes home.
    fn tracers_may_come_while_it_sleeps() {
        let handle = parked()?;
        traced(&graph::OPS, &[deep::PATTERN], || {
            let result = finds_all_ten(handle.thread());
            unpark(handle)?;
            result
        })?
    }

    /// A call that is a function's last instruction is that function's, although its
    /// return address is the next one's.
    fn calls_at_a_functions_end_are_found() {
        const BCTRL: u32 = 0x4e80_0421;
        extern "C" fn wait() {
            thread::park();
        }
        let words = specimen::relay_words();
        let call = words.iter().position(|&word| word == BCTRL).ok_or("it has no call")?;
        let start = words.as_ptr() as u64;
        let (behind, end) = (start + 4 * (call as u64 + 1), start + 4 * words.len() as u64);
        let handle = spawn("relayed", || {
            // SAFETY: the routine is a function of this type.
            let relay: extern "C" fn(extern "C" fn()) = unsafe {
                core::mem::transmute(specimen::relay_words().as_ptr())
            };
            relay(wait);
        })?;
        until("its park", || handle.thread().state() == State::Asleep)?;
        let (found, next) = (
            look(handle.thread(), slice::from_ref(&(start..behind))),
            look(handle.thread(), slice::from_ref(&(behind..end))),
        );
        unpark(handle)?;
        check!(found == Ok(Some(start)) && next == Ok(None), "{found:x?}, and behind the call {next:x?}");
        Ok(())
    }

    /// A return address in memory that holds no code makes a stack unreliable.
    fn unknown_code_is_noticed() {
        let words = specimen::relay_words();
        // Memory for a stack, which no code is looked for in.
        let block = mm::stacks::allocate(PAGE).ok_or("no memory")?;
        let page = block.livepatch();
        let code = page.start;
        // SAFETY: the page is ours, and larger than the words.
        unsafe { core::slice::from_raw_parts_mut(code as *mut u32, words.len()) }.copy_from_slice(words);
        mmu::set(page, Some(Rights::Code)).map_err(text)?;
        // SAFETY: the page is ours.
        unsafe { arch::flush_code(code, 4 * words.len() as u64) };
        let handle = spawn("stranger", move || {
            extern "C" fn wait() {
                thread::park();
            }
            // SAFETY: the words are a function of this type, which runs anywhere; the
            // page stays until the thread has ended.
            let relay = unsafe {
                core::mem::transmute::<usize, extern "C" fn(extern "C" fn())>(code as usize)
            };
            relay(wait);
        })?;
        until("its park", || handle.thread().state() == State::Asleep)?;
        let found = look(handle.thread(), &[]);
        unpark(handle)?;
        // SAFETY: the thread has ended.
        unsafe { mm::stacks::free(block) };
        let end = code + 4 * specimen::relay_words().len() as u64;
        check!(matches!(found, Err(Unreliable::UnknownCode { at }) if (code..end).contains(&at)), "{found:x?}, code at {code:#x}");
        Ok(())
    }

    /// A chain of frames that ends too early, leads down or out of the stack, or is
    /// not aligned, is noticed, whichever frame it is.
    fn broken_chains_are_noticed() {
        let handle = parked()?;
        let mut result = Ok(());
        let mut frame = chain_of(handle.thread())?;
        let (bottom, top) = handle.thread().stack().range();
        let base = top - size_of::<FrameHeader>() as u64;
        let mut frames = 0;
        while frame.addr() as u64 != base {
            // SAFETY: a frame of a thread that sleeps until it is unparked.
            let whole = unsafe { frame.read() };
            for broken in [0, 8, whole + 8, frame.addr() as u64 - 16, frame.addr() as u64, bottom, top, u64::MAX - 15] {
                // SAFETY: as above; it is put back at once, before the thread runs.
                let found = unsafe {
                    frame.write(broken);
                    let found = look(handle.thread(), &[]);
                    frame.write(whole);
                    found
                };
                // Where it leads to what is no frame, that is unknown code perhaps.
                let is_noticed = match found {
                    Err(Unreliable::BrokenChain { .. }) => true,
                    Err(Unreliable::UnknownCode { .. }) => broken != 0,
                    _ => false,
                };
                if !is_noticed {
                    result = Err(format!("{whole:#x} became {broken:#x}: {found:x?}"));
                }
            }
            frame = whole as *mut u64;
            frames += 1;
        }
        let whole = look(handle.thread(), &[]);
        unpark(handle)?;
        check!(frames > 10, "only {frames} frames");
        check!(whole == Ok(None), "the whole chain: {whole:x?}");
        result
    }
}

crate::selftest! {
    one_cpu;

    /// A preempted thread may be anywhere: its stack can't be relied on.
    fn preempted_stacks_are_not() {
        static STOP: AtomicBool = AtomicBool::new(false);
        static BEGUN: AtomicBool = AtomicBool::new(false);
        #[inline(never)]
        fn spin() {
            BEGUN.store(true, Ordering::Relaxed);
            while !STOP.load(Ordering::Relaxed) {
                spin_loop();
            }
        }
        STOP.store(false, Ordering::Relaxed);
        let handle = spawn("spinner", || { deep::call(&spin); })?;
        until("its spin", || BEGUN.load(Ordering::Relaxed))?;
        let found = look(handle.thread(), &[]);
        let steps = steps(handle.thread());
        let own = look(&thread::current(), &[]);
        STOP.store(true, Ordering::Relaxed);
        join(handle)?;
        let here = deep::code_of(spin as fn() as usize as u64)?;
        check!(matches!(found, Err(Unreliable::Interrupted { at }) if here.contains(&at)), "{found:x?}");
        let message = found.err().map_or(String::new(), |error| format!("{error}"));
        check!(message.starts_with("interrupted in selftest::tests::thread::walks::"), "{message}");
        check!(steps.iter().any(|step| matches!(step.what, What::Interrupted(_))), "{steps:x?}");
        check!(own == Err(Unreliable::Runs { cpu: 0 }), "the running thread: {own:x?}");
        Ok(())
    }

    /// A thread that has not run yet is in no function.
    fn fresh_stacks_are_reliable() {
        let off = arch::interrupts_off();
        let handle = spawn("fresh", || ());
        let looked = handle.as_ref().map(|handle| {
            (look(handle.thread(), &[]), steps(handle.thread()))
        });
        drop(off);
        let (found, steps) = looked.map_err(Clone::clone)?;
        join(handle?)?;
        check!(found == Ok(None), "{found:x?}");
        check!(steps.len() == 1 && outermost(&steps).starts_with("thread_begin+"), "{} in {steps:x?}", outermost(&steps));
        Ok(())
    }

    /// The main thread's stack and the idle one's can be read too.
    fn main_and_idle_are_reliable() {
        static SEEN: spin::Mutex<Vec<(u32, Looked)>> = spin::Mutex::new(Vec::new());
        let handle = spawn("reader", || {
            // A tick may have begun this thread before the main one got to its `join`.
            let main = thread::all().find(|thread| thread.id() == 0);
            let _ = until("its sleep", || main.as_ref().is_none_or(|main| main.state() == State::Asleep));
            for thread in thread::all().filter(|thread| thread.id() < 2) {
                let found = look(&thread, &[]);
                SEEN.lock().push((thread.id(), found));
            }
        })?;
        join(handle)?;
        let seen = core::mem::take(&mut *SEEN.lock());
        check!(seen == [(0, Ok(None)), (1, Ok(None))], "{seen:x?}");
        Ok(())
    }
}
