//! One traced call: what the callback sees, and what the function does not.

use super::{Counter, site_of, text};
use crate::{check, tests::goes_on};
use alloc::{format, vec, vec::Vec};
use core::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};
use ftrace::{Filter, Flags, Ops};
use lab::{
    instruments::abi,
    targets::{self, CALLS},
};
use layout::CallFrame;
use machine::{
    arch::{self, MOST_CPUS},
    symbols::Place,
    sync::IrqLock,
    text as code, time,
};
use ppc64::insn;
use thread::backtrace::{self, Step, What};

static PLAIN: Counter = Counter::new("plain", Flags::empty());
static SECOND: Counter = Counter::new("second", Flags::empty());
static UNGUARDED: Counter = Counter::new("unguarded", Flags::RECURSION_SAFE);
static ALL: Counter = Counter::new("all registers", Flags::ALL_REGISTERS);

/// May change where a call goes, and does not.
static STAYS: Counter = Counter::new("stays", Flags::CHANGES_NIP);

/// A callback that calls what it traces.
static NESTED: Ops = Ops::new("nested", nested, Flags::empty());

extern "C" fn nested(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    black_box(targets::leaf(1));
}

/// Notes of each CPU which ticks it is called for: the number of ticks before the first one, the same of
/// the last one, and how many.
static TICKS: Ops = Ops::new("ticks", note_tick, Flags::empty());
static NOTED: [[AtomicU64; 3]; MOST_CPUS] = [const { [const { AtomicU64::new(0) }; 3] }; MOST_CPUS];

extern "C" fn note_tick(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    // No other CPU writes it, and the handler keeps interrupts off.
    let number = arch::number() as usize;
    let [first, last, hits] = &NOTED[number];
    let before = arch::CPUS[number].ticks.load(Ordering::Relaxed);
    if hits.fetch_add(1, Ordering::Relaxed) == 0 {
        first.store(before, Ordering::Relaxed);
    }
    last.store(before, Ordering::Relaxed);
}

/// A guarded callback that takes its time.
static SLOW: Ops = Ops::new("slow", slow, Flags::empty());

extern "C" fn slow(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    let ticks = time::ticks();
    while time::ticks() < ticks + 3 {
        arch::wait();
    }
}

/// The same, and then calls what it traces.
static SLOW_NESTED: Ops = Ops::new("slow and nested", slow_nested, Flags::empty());
static SLOW_CALLS: AtomicU64 = AtomicU64::new(0);

extern "C" fn slow_nested(ip: u64, parent: u64, ops: &Ops, frame: &mut CallFrame) {
    if SLOW_CALLS.fetch_add(1, Ordering::Relaxed) == 0 {
        slow(ip, parent, ops, frame);
        nested(ip, parent, ops, frame);
    }
}

/// Sends calls of `leaf` to `instead`.
static DIVERT: Ops = Ops::new("divert", divert, Flags::CHANGES_NIP);
static DIVERT_TOO: Ops = Ops::new("divert too", divert, Flags::CHANGES_NIP);

extern "C" fn divert(_: u64, _: u64, _: &Ops, frame: &mut CallFrame) {
    frame.nip = match frame.gpr[3] {
        13 => frame.nip,
        _ => instead as *const () as u64,
    };
}

extern "C" fn instead(a: u64) -> u64 {
    a + 1_000_000
}

/// Attaches an ops to a path while `body` runs.
fn with<T>(
    ops: &'static Ops,
    path: &str,
    body: impl FnOnce() -> T,
) -> Result<T, alloc::string::String> {
    let count = ftrace::register(ops, &Filter::only(&[path])).map_err(text)?;
    let value = body();
    ftrace::unregister(ops).map_err(text)?;
    check!(count == 1, "`{path}` names {count} functions");
    Ok(value)
}

/// Keep the frame of the last call: of its ops, one asks for all registers, and one may
/// change where the call goes.
static KEEP: Ops = Ops::new("keep", keep, Flags::empty());
static KEEP_ALL: Ops = Ops::new("keep all", keep, Flags::ALL_REGISTERS);
static KEEP_SITE: Ops = Ops::new("keep site", keep, Flags::CHANGES_NIP);

/// What they have kept.
static KEPT: IrqLock<Option<CallFrame>> = IrqLock::new(None);

extern "C" fn keep(_: u64, _: u64, _: &Ops, frame: &mut CallFrame) {
    *KEPT.lock() = Some(*frame);
}

/// Takes a backtrace from inside a callback.
static LOOK: Ops = Ops::new("look", look, Flags::empty());

/// What [`LOOK`] has seen.
static SEEN: IrqLock<([Step; 8], usize)> = IrqLock::new((
    [Step {
        code: 0,
        what: What::Call,
    }; 8],
    0,
));

extern "C" fn look(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    let mut seen = SEEN.lock();
    seen.1 = backtrace::here(&mut seen.0);
}

crate::selftest! {
    /// From inside a callback, the stack shows the traced function and its caller.
    fn stacks_are_whole_in_a_callback() {
        with(&LOOK, "lab::targets::leaf", || targets::leaf(1))?;
        let seen = SEEN.lock();
        let steps = &seen.0[..seen.1];
        let names: Vec<_> = steps.iter().map(|step| format!("{}", Place(step.place()))).collect();
        let at = steps.iter().position(|step| step.what == What::Traced);
        check!(at.is_some_and(|at| names[at].starts_with("lab::targets::leaf+")), "{names:#?}");
        let caller = at.and_then(|at| names.get(at + 1));
        check!(caller.is_some_and(|name| name.contains("stacks_are_whole")), "{names:#?}");
        check!(names.last().is_some_and(|name| name.starts_with("call_on_stack_top") || seen.1 == 8), "{names:#?}");
        Ok(())
    }

    /// A site toggles between nop and `bl`, and between those only.
    fn sites_toggle() {
        let site = site_of(targets::leaf as *const () as u64)?;
        let words = || [code::read(site.address - 4), code::read(site.address)];
        check!(words() == [insn::MFLR_R0, insn::NOP], "at rest: {:08x?}", words());
        let during = with(&PLAIN.ops, "lab::targets::leaf", words)?;
        let branch = insn::branch_target(site.address, during[1]);
        check!(during[0] == insn::MFLR_R0 && branch.is_some_and(|branch| branch.link), "traced: {during:08x?}");
        check!(words() == [insn::MFLR_R0, insn::NOP], "afterwards: {:08x?}", words());
        PLAIN.take();
        Ok(())
    }

    /// A callback is told the function, its caller and its arguments.
    fn callbacks_are_told_who_calls_whom() {
        let site = site_of(targets::leaf as *const () as u64)?;
        let result = with(&PLAIN.ops, "lab::targets::leaf", || {
            (0..5).map(|value| targets::leaf(value)).sum::<u64>()
        })?;
        check!(result == 35, "leaf returned {result} in all");
        check!(PLAIN.take() == 5, "not five calls");
        let ip = PLAIN.ip.load(Ordering::Relaxed);
        check!(ip == site.ip(), "ip is {ip:#x} instead of {:#x}", site.ip());
        check!(PLAIN.argument.load(Ordering::Relaxed) == 4, "the last argument was not 4");
        let parent = Place(PLAIN.parent.load(Ordering::Relaxed));
        check!(format!("{parent}").contains("callbacks_are_told"), "called from {parent}");
        targets::leaf(1);
        check!(PLAIN.take() == 0, "called after it was detached");
        Ok(())
    }

    /// Arguments, r2, r11, r12, CR and all nonvolatile registers arrive in the
    /// function and come back, whatever is attached.
    fn registers_survive() {
        let site = site_of(abi::watched_callee_address())?;
        let path = "watched_callee";
        // The tracer's callback finds its ring through the TOC, which is garbage
        // in r2 when the trampoline is entered.
        let records = tracing::written();
        for ops in [&PLAIN.ops, &UNGUARDED.ops, &ALL.ops, &STAYS.ops, &tracing::function::OPS] {
            goes_on();
            let off = arch::interrupts_off();
            let watched = with(ops, path, abi::watched_call);
            drop(off);
            let watched = watched?;
            let (sent, got, back) = (watched.before, watched.arrived, watched.after);
            for register in (1..32).filter(|&register| register != 13) {
                check!(got.gpr[register] == sent.gpr[register],
                    "{}: r{register} arrived as {:#x}, was {:#x}", ops.name, got.gpr[register], sent.gpr[register]);
                check!(back.gpr[register] == sent.gpr[register],
                    "{}: r{register} came back as {:#x}, was {:#x}", ops.name, back.gpr[register], sent.gpr[register]);
            }
            check!(got.cr == sent.cr, "{}: CR arrived as {:#x}, was {:#x}", ops.name, got.cr, sent.cr);
            check!(watched.arguments == abi::STACK_ARGUMENTS, "{}: stack arguments are {:x?}", ops.name, watched.arguments);
        }
        check!(site.kind == ftrace::Kind::C, "the callee's site is {:?}", site.kind);
        let hits = (PLAIN.take(), UNGUARDED.take(), ALL.take(), STAYS.take());
        check!(hits == (1, 1, 1, 1), "hits: {hits:?}");
        let records = tracing::written() - records;
        check!(records == 1, "{records} records of one call");
        tracing::write("trace", "").map_err(text)?;
        Ok(())
    }

    /// The frame has in each place what the register held when the function was called,
    /// and that of an ops that asks for all registers has all of them.
    fn frames_hold_the_registers() {
        let ip = site_of(abi::watched_callee_address())?.ip();
        for ops in [&KEEP, &KEEP_SITE, &KEEP_ALL] {
            let watched = {
                // Handlers use its scratch words too, and MSR must stay as it is.
                let _off = arch::interrupts_off();
                with(ops, "watched_callee", abi::watched_call)?
            };
            let frame = KEPT.lock().take().ok_or("the callback was not called")?;
            let (sent, name) = (&watched.before, ops.name);
            let all = ops.flags.contains(Flags::ALL_REGISTERS);
            for register in if all { 1..32 } else { 2..13 } {
                let (found, expected) = (frame.gpr[register], sent.gpr[register]);
                check!(found == expected, "{name}: r{register} is {found:#x} instead of {expected:#x}");
            }
            let mut places = vec![
                ("nip", frame.nip, ip),
                ("CR", u64::from(frame.cr), sent.cr),
                ("the back chain", frame.header.back_chain, sent.gpr[1]),
            ];
            if all || ops.flags.contains(Flags::CHANGES_NIP) {
                places.push(("site", frame.site, ip));
            }
            if all {
                places.extend([
                    // As the first word of the site leaves it.
                    ("r0", frame.gpr[0], watched.arrived.lr),
                    ("CTR", frame.ctr, sent.ctr),
                    ("XER", frame.xer, sent.xer),
                    ("MSR", frame.msr, sent.msr),
                ]);
            }
            for (place, found, expected) in places {
                check!(found == expected, "{name}: {place} is {found:#x} instead of {expected:#x}");
            }
        }
        Ok(())
    }

    /// Arguments on the stack, and variable ones, arrive.
    fn stack_arguments_survive() {
        let found = with(&ALL.ops, "c_sum10", || targets::c_sum10(1, 2, 3, 4, 5, 6, 7, 8, 9, 10))?;
        check!(found == 385, "c_sum10: {found}");
        let found = with(&PLAIN.ops, "lab::targets::sum12", || targets::sum12(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12))?;
        check!(found == 650, "sum12: {found}");
        // SAFETY: three longs follow.
        let found = with(&PLAIN.ops, "c_variadic", || unsafe { targets::c_variadic(3, 1_i64, 2_i64, 3_i64) })?;
        check!(found == 1026, "c_variadic: {found}");
        check!((ALL.take(), PLAIN.take()) == (1, 2), "not all of them were traced");
        Ok(())
    }

    /// A C leaf without TOC set-up and C functions with one can be traced.
    fn c_functions_are_traced() {
        let found = with(&PLAIN.ops, "c_leaf", || (targets::c_leaf(7), targets::c_tail(7)))?;
        check!(found == (22, 25), "{found:?}");
        check!(PLAIN.take() == 2, "a call or a tail call went by");
        let before = targets::c_counts(0);
        let after = with(&PLAIN.ops, "c_counts", || targets::c_counts(0))?;
        check!(after == before + 1 && PLAIN.take() == 1, "{before}, then {after}");
        let twice = with(&PLAIN.ops, "rust_twice", || targets::c_into_rust(4))?;
        check!(twice == 9 && PLAIN.take() == 1, "{twice}");
        Ok(())
    }

    /// A function that is reached by a tail call is traced, with the caller's
    /// caller as its parent.
    fn tail_calls_are_traced() {
        let found = with(&PLAIN.ops, "c_leaf", || targets::c_tail(3))?;
        check!(found == 13 && PLAIN.take() == 1, "{found}");
        let parent = Place(PLAIN.parent.load(Ordering::Relaxed) - 4);
        check!(format!("{parent}").contains("tail_calls_are_traced"), "called from {parent}");
        Ok(())
    }

    /// Beside an ops that sends the call elsewhere, the others are told the function
    /// that was called, whichever of them came first.
    fn ip_is_the_sites_beside_a_diversion() {
        let site = site_of(targets::leaf as *const () as u64)?;
        let path = "lab::targets::leaf";
        for (first, second) in [(&PLAIN.ops, &DIVERT), (&DIVERT, &PLAIN.ops)] {
            let found = with(first, path, || with(second, path, || targets::leaf(1)))??;
            let (hits, ip) = (PLAIN.take(), PLAIN.ip.load(Ordering::Relaxed));
            check!(found == 1_000_001 && hits == 1, "{found}, {hits} hits");
            check!(ip == site.ip(), "behind `{}`, ip is {ip:#x} instead of {:#x}", first.name, site.ip());
        }
        Ok(())
    }

    /// Every level of a recursion is traced.
    fn recursion_is_traced() {
        let counted = CALLS.recursive.load(Ordering::Relaxed);
        let found = with(&PLAIN.ops, "lab::targets::recursive", || targets::recursive(50))?;
        let counted = CALLS.recursive.load(Ordering::Relaxed) - counted;
        let hits = PLAIN.take();
        check!(found == 1276 && hits == 51 && counted == 51, "{found}: {hits} hits, {counted} calls");
        Ok(())
    }

    /// A function that an interrupt handler calls is traced, once at every tick of each CPU.
    fn interrupt_handlers_are_traced() {
        NOTED.iter().flatten().for_each(|one| one.store(0, Ordering::Relaxed));
        let ticks = with(&TICKS, "machine::time::tick", || {
            let before = time::ticks();
            while time::ticks() < before + 3 {
                arch::wait();
            }
            time::ticks() - before
        })?;
        for (cpu, noted) in NOTED.iter().enumerate() {
            let [first, last, hits] = noted.each_ref().map(|one| one.load(Ordering::Relaxed));
            let least = if cpu == 0 { ticks } else { 0 };
            check!(hits >= least, "CPU {cpu}: {hits} hits in {ticks} ticks");
            check!(hits == 0 || hits == last - first + 1, "CPU {cpu}: {hits} hits from tick {first} to tick {last}");
        }
        Ok(())
    }

    /// Several ops on one site are all called.
    fn ops_share_a_site() {
        let filter = Filter::only(&["lab::targets::leaf"]);
        for ops in [&PLAIN.ops, &SECOND.ops, &ALL.ops] {
            ftrace::register(ops, &filter).map_err(text)?;
        }
        targets::leaf(1);
        let site = site_of(targets::leaf as *const () as u64)?;
        let names = ftrace::attached(&site);
        check!(names.as_slice() == ["plain", "second", "all registers"], "attached: {names:?}");
        ftrace::unregister(&SECOND.ops).map_err(text)?;
        targets::leaf(1);
        for ops in [&PLAIN.ops, &ALL.ops] {
            ftrace::unregister(ops).map_err(text)?;
        }
        let hits = (PLAIN.take(), SECOND.take(), ALL.take());
        check!(hits == (2, 1, 2), "hits: {hits:?}");
        Ok(())
    }

    /// A callback that calls what it traces is not called for that.
    fn callbacks_do_not_recurse() {
        let counted = CALLS.leaf.load(Ordering::Relaxed);
        let found = with(&NESTED, "lab::targets::leaf", || targets::leaf(2))?;
        let counted = CALLS.leaf.load(Ordering::Relaxed) - counted;
        check!(found == 7 && counted == 2, "{found} after {counted} calls");
        Ok(())
    }

    /// What an interrupt handler calls while a callback is being run is traced:
    /// the guard is the interrupted code's.
    fn handlers_are_traced_inside_a_callback() {
        let hits = with(&SLOW, "lab::targets::leaf", || {
            with(&PLAIN.ops, "machine::time::tick", || {
                PLAIN.take();
                targets::leaf(1);
                PLAIN.take()
            })
        })??;
        PLAIN.take();
        check!(hits >= 3, "{hits} hits in three ticks");
        Ok(())
    }

    /// An interrupt that comes while a callback is being run leaves its guard in place.
    fn guards_outlive_interrupts() {
        SLOW_CALLS.store(0, Ordering::Relaxed);
        let found = with(&SLOW_NESTED, "lab::targets::leaf", || targets::leaf(2))?;
        let calls = SLOW_CALLS.load(Ordering::Relaxed);
        check!(found == 7 && calls == 1, "{found}; the callback was called {calls} times");
        Ok(())
    }

    /// A callback that may sends a call elsewhere; others may not as well.
    fn calls_are_diverted() {
        let found = with(&DIVERT, "lab::targets::leaf", || {
            let second = ftrace::register(&DIVERT_TOO, &Filter::only(&["lab::targets::l*"]));
            (targets::leaf(2), targets::leaf(13), second)
        })?;
        check!(found.0 == 1_000_002, "leaf(2) is {} when diverted", found.0);
        check!(found.1 == 40, "leaf(13) is {} when left alone", found.1);
        let refused = matches!(&found.2, Err(ftrace::FtraceError::NipTaken { holder: "divert", .. }));
        check!(refused, "a second diverting ops: {:?}", found.2);
        check!(targets::leaf(2) == 7, "leaf(2) is {} afterwards", targets::leaf(2));
        Ok(())
    }
}
