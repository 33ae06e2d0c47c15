//! Registering, refusing, and the switch.

use super::{Counter, site_of, text};
use crate::{check, tests::goes_on};
use core::sync::atomic::{AtomicU64, Ordering};
use ftrace::{Batch, Filter, Flags, FtraceError, Ops};
use lab::{instruments, targets};
use layout::CallFrame;
use machine::{
    mm::{self, code::CodeBlock},
    text as code,
};
use ppc64::insn;

static ONE: Counter = Counter::new("one", Flags::empty());
static KEEPER: Counter = Counter::new("keeper", Flags::PERMANENT);

/// Retires code in the middle of [`ftrace::reclaim`], when that asks for the threads to look at.
static RETIRES: Ops = Ops::new("retires", retire_another, Flags::empty());
/// Where the retired block lies that another one is to replace; 0 when none is.
static REPLACED: AtomicU64 = AtomicU64::new(0);
/// Where the other one lies.
static REPLACEMENT: AtomicU64 = AtomicU64::new(0);
/// Size of both, in instructions.
const WORDS: usize = 8;

/// Does what another thread may do meanwhile: gives back the retired block, and retires
/// another, which comes to lie in its place.
extern "C" fn retire_another(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    if REPLACED.swap(0, Ordering::Relaxed) == 0 {
        return;
    }
    ftrace::reclaim();
    if let Ok(block) = CodeBlock::new(WORDS) {
        REPLACEMENT.store(block.start(), Ordering::Relaxed);
        ftrace::retire(block);
    }
}

crate::selftest! {
    /// The compilers' records all fit, and both compilers have some.
    fn records_fit_the_code() {
        let counts = ftrace::counts();
        if let Some(refused) = ftrace::refused().first() {
            return Err(alloc::format!("{refused}"));
        }
        check!(counts.traceable > 300, "only {} sites", counts.traceable);
        check!(counts.from_c >= 6, "only {} sites of C functions", counts.from_c);
        check!(counts.notrace > 50, "only {} sites that must not be traced", counts.notrace);
        for path in ["core::fmt::write", "lab::targets::leaf", "c_leaf"] {
            let symbol = machine::symbols::find(path).map_err(text)?;
            check!(ftrace::find_site(symbol.address).is_some(), "`{path}` has no site");
        }
        Ok(())
    }

    /// A record that does not fit the code is refused, by name and with the words
    /// that are there, and left alone.
    fn misfits_are_refused() {
        let plain = instruments::calls::AtOnce::Plain.address();
        let before = [code::read(plain), code::read(plain + 4)];
        let Err(refused) = ftrace::from_record(plain) else {
            return Err("a function without nops has become a site".into());
        };
        let expected = alloc::format!(
            "bench_plain has {:#010x} {:#010x} at its local entry, +0x0, expected two nops (0x60000000)",
            before[0], before[1]
        );
        let message = text(refused);
        check!(message == expected, "`{message}` instead of `{expected}`");
        let Err(refused) = ftrace::from_record(plain + 2) else {
            return Err("the middle of a function has become a site".into());
        };
        check!(refused.found.is_none(), "{refused}");
        check!([code::read(plain), code::read(plain + 4)] == before, "its words have changed");
        Ok(())
    }

    /// What must not be traced can't be.
    fn notrace_is_kept() {
        for path in ["machine::text::apply", "thread::interrupt::handle", "ftrace::registry::register"] {
            let symbol = machine::symbols::find(path).map_err(text)?;
            check!(ftrace::find_site(symbol.address).is_none(), "`{path}` has a site");
            let result = ftrace::register(&ONE.ops, &Filter::only(&[path]));
            check!(result == Err(FtraceError::NoFunction), "`{path}`: {result:?}");
        }
        Ok(())
    }

    /// Filters go by name and glob, and leave out what is not wanted.
    fn filters_choose() {
        let count = |filter: &Filter| {
            let count = ftrace::register(&ONE.ops, filter);
            if count.is_ok() {
                ftrace::unregister(&ONE.ops).map_err(text)?;
            }
            Ok::<_, alloc::string::String>(count)
        };
        let result = count(&Filter::only(&["c_*"]))?;
        check!(result == Ok(10), "`c_*`: {result:?}");
        let result = count(&Filter::only(&["c_*"]).but_not("*sum*"))?;
        check!(result == Ok(9), "`c_*` without `*sum*`: {result:?}");
        let result = count(&Filter::only(&["c_leaf", "c_tail"]))?;
        check!(result == Ok(2), "two names: {result:?}");
        let result = count(&Filter::only(&["c_lea"]))?;
        check!(result == Err(FtraceError::NoFunction), "part of a name: {result:?}");
        Ok(())
    }

    /// An ops is registered once, and must be before it is unregistered.
    fn twice_is_an_error() {
        let filter = Filter::only(&["c_leaf"]);
        ftrace::register(&ONE.ops, &filter).map_err(text)?;
        let result = ftrace::register(&ONE.ops, &filter);
        ftrace::unregister(&ONE.ops).map_err(text)?;
        check!(result == Err(FtraceError::Registered("one")), "registered twice: {result:?}");
        let result = ftrace::unregister(&ONE.ops);
        check!(result == Err(FtraceError::NotRegistered("one")), "unregistered twice: {result:?}");
        Ok(())
    }

    /// The switch stops all tracing and starts it again, and does not move while
    /// something depends on it.
    fn the_switch_respects_need() {
        let filter = Filter::only(&["c_leaf"]);
        ftrace::register(&ONE.ops, &filter).map_err(text)?;
        ftrace::set_enabled(false).map_err(text)?;
        targets::c_leaf(1);
        let off = ONE.take();
        let while_off = ftrace::register(&KEEPER.ops, &filter);
        ftrace::set_enabled(true).map_err(text)?;
        targets::c_leaf(1);
        let on = ONE.take();
        ftrace::register(&KEEPER.ops, &filter).map_err(text)?;
        let refused = ftrace::set_enabled(false);
        ftrace::unregister(&KEEPER.ops).map_err(text)?;
        ftrace::unregister(&ONE.ops).map_err(text)?;
        check!((off, on) == (0, 1), "{off} hits while off, {on} while on");
        check!(while_off == Err(FtraceError::Off("keeper")), "registered while off: {while_off:?}");
        check!(refused == Err(FtraceError::Needed("keeper")), "turned off: {refused:?}");
        Ok(())
    }

    /// Trampolines come and go without a trace in memory.
    fn trampolines_are_given_back() {
        // The first registration makes tables that stay.
        for _ in 0..2 {
            ftrace::register(&ONE.ops, &Filter::all()).map_err(text)?;
            ftrace::unregister(&ONE.ops).map_err(text)?;
        }
        let before = (mm::usage(), mm::code::used());
        for _ in 0..3 {
            goes_on();
            ftrace::register(&ONE.ops, &Filter::all()).map_err(text)?;
            ftrace::register(&KEEPER.ops, &Filter::only(&["c_*"])).map_err(text)?;
            ftrace::unregister(&ONE.ops).map_err(text)?;
            ftrace::unregister(&KEEPER.ops).map_err(text)?;
        }
        let after = (mm::usage(), mm::code::used());
        check!(before == after, "before: {before:?}, after: {after:?}");
        ONE.take();
        KEEPER.take();
        Ok(())
    }

    /// A redirection leaves everything as it was if its word can't be written: calls go
    /// through the trampoline, and the ops can be unregistered.
    fn failed_redirections_are_undone() {
        let site = site_of(targets::c_leaf as *const () as u64)?;
        ftrace::register_at(&ONE.ops, &site).map_err(text)?;
        let call = code::read(site.address);
        let change = |expected, new| code::Change { address: site.address, expected, new };
        // SAFETY: the site is at rest then, which is right at any time.
        unsafe { code::apply(&[change(call, insn::NOP)]) }.map_err(text)?;
        // SAFETY: the site can't be written, so nothing goes there.
        let refused = unsafe { Batch::default().redirect(&ONE.ops, &site, Some(site.function())) };
        // SAFETY: the call of the trampoline that ftrace has written there.
        unsafe { code::apply(&[change(insn::NOP, call)]) }.map_err(text)?;
        let direct = ONE.ops.direct();
        targets::c_leaf(1);
        let hits = ONE.take();
        let gone = ftrace::unregister(&ONE.ops);
        check!(matches!(refused, Err(FtraceError::Text(_))), "redirected: {refused:?}");
        check!(direct.is_none(), "the ops still goes to {direct:#x?}");
        check!(hits == 1, "{hits} hits");
        check!(gone == Ok(()), "unregistered: {gone:?}");
        Ok(())
    }

    /// What was attached to functions of a module only needs no trampoline when the module
    /// has gone.
    fn trampolines_go_with_modules() {
        let before = mm::code::used();
        loader::find_file("two_percent")?.load().map_err(text)?;
        let count = ftrace::register(&ONE.ops, &Filter::only(&["two_percent::*"]));
        loader::unload("two_percent").map_err(text)?;
        let left = mm::code::used() - before;
        let gone = ftrace::unregister(&ONE.ops);
        check!(count.as_ref().is_ok_and(|&count| count > 0), "attached: {count:?}");
        check!(gone == Ok(()), "unregistered: {gone:?}");
        check!(left == 0, "{left} bytes are left");
        Ok(())
    }

    /// Code that is retired while stacks are being looked at stays until the next look, even
    /// where a block has lain that the look has found free.
    fn later_code_waits_for_the_next_look() {
        const PATH: &str = "thread::scheduler::some_after";
        ftrace::register(&RETIRES, &Filter::only(&[PATH])).map_err(|error| alloc::format!("{PATH}: {error}"))?;
        ftrace::wait_for_retired();
        let before = ftrace::retired();
        let block = CodeBlock::new(WORDS).map_err(text)?;
        let start = block.start();
        ftrace::retire(block);
        REPLACED.store(start, Ordering::Relaxed);
        ftrace::reclaim();
        let left = ftrace::retired();
        ftrace::reclaim();
        let after = ftrace::retired();
        ftrace::unregister(&RETIRES).map_err(text)?;
        let replacement = REPLACEMENT.swap(0, Ordering::Relaxed);
        check!(replacement == start, "the other block is at {replacement:#x}, not at {start:#x}");
        check!((before, left, after) == (0, 1, 0), "{before} blocks before, {left} after the look, {after} after the next");
        Ok(())
    }
}
