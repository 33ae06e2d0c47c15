//! A module that a thread can still get into is not unloaded, wherever the thread keeps
//! the address.

use super::{super::in_steps, load};
use crate::{
    check,
    tests::common::{join, spawn, text, traced, until},
};
use alloc::{format, string::String, sync::Arc};
use core::{
    mem,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};
use ftrace::{Batch, Filter, Flags, Ops};
use lab::instruments::{sanitiser::SanitisedCall, specimen};
use layout::{CallFrame, TrapFrame};
use loader::{Module, ModuleError};
use machine::{mm, sync::IrqLock, text as code};
use ppc64::insn;
use thread::{State, Thread, backtrace};
use tracing::graph;

const NAME: &str = "cases-target";

fn module() -> Result<Arc<Module>, String> {
    load(loader::find_file(NAME)?.bytes)
}

/// A function of the module, by path.
fn function(module: &Module, path: &str) -> Result<u64, String> {
    let found = module.function(path);
    found.ok_or_else(|| format!("`{}` has no `{path}`", module.name))
}

/// Whether unloading says that the module runs.
fn is_running() -> bool {
    matches!(loader::unload(NAME), Err(ModuleError::Running(NAME)))
}

fn unload() -> super::super::Result {
    loader::unload(NAME).map_err(text)
}

/// A callback that sleeps until it is let go.
static SLEEPS: Ops = Ops::new("sleeps", sleeps, Flags::empty());
static SLEEPER: AtomicU32 = AtomicU32::new(0);
static LET_GO: AtomicBool = AtomicBool::new(false);

extern "C" fn sleeps(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {
    SLEEPER.store(
        thread::with_current(Thread::id).unwrap_or(0),
        Ordering::Relaxed,
    );
    while !LET_GO.load(Ordering::Relaxed) {
        thread::park();
    }
}

/// A plain tracer.
static TRACER: Ops = Ops::new("unload", does_nothing, Flags::empty());

extern "C" fn does_nothing(_: u64, _: u64, _: &Ops, _: &mut CallFrame) {}

/// What unloading said when it was tried in the middle of a stepped call.
static SAID: IrqLock<Option<bool>> = IrqLock::new(None);

/// Tries it in front of the last instruction of a trampoline.
fn try_at_the_end(frame: &mut TrapFrame) {
    let code = mm::code::region();
    let is_made = (code.start..code.end).contains(&frame.nip) && !loader::is_code(frame.nip);
    if is_made && code::read(frame.nip) == insn::bctr() {
        *SAID.lock() = Some(is_running());
    } else if !is_made {
        // A local call need not have the entry in r12, where it would be found.
        frame.gpr[12] = 0;
    }
}

crate::selftest! {
    /// A thread that spins in a hooked leaf of the kernel's, which has no frame, returns
    /// into the module. Its only copy of the address is on the return stack.
    fn return_stacks_hold_modules() {
        static FLAG: AtomicU64 = AtomicU64::new(0);
        let module = module()?;
        let waits = function(&module, "cases_target::waits")?;
        drop(module);
        FLAG.store(0, Ordering::Relaxed);
        ftrace::register(&graph::OPS, &Filter::only(&["lab::functions::wait_for"])).map_err(text)?;
        let handle = spawn("in a leaf", move || {
            // SAFETY: the function is of this type; the module is loaded, or the test has failed.
            let waits = unsafe { mem::transmute::<usize, extern "C" fn(&AtomicU64) -> u64>(waits as usize) };
            waits(&FLAG);
        })?;
        let hooked = || handle.thread().returns.used.load(Ordering::Relaxed) == 1;
        let is_hooked = until("its call", hooked);
        // Off the CPU in the leaf, and not in the callback before it.
        (0..20).for_each(|_| thread::yield_now());
        let says_so = is_running();
        if says_so {
            FLAG.store(1, Ordering::Relaxed);
        }
        // If not, it stays where it is, for there is nothing to return to.
        ftrace::unregister(&graph::OPS).map_err(text)?;
        check!(says_so, "the module was unloaded under a thread that returns into it");
        join(handle)?;
        unload()?;
        is_hooked
    }

    /// A traced call of a module's function, between the trampoline's last loads and its
    /// branch: the function is in CTR, and nowhere else.
    fn ctr_holds_modules() {
        let module = module()?;
        let outer = function(&module, "cases_target::inner")?;
        let mut call = SanitisedCall::local(outer, module.toc, &[]);
        drop(module);
        *SAID.lock() = None;
        let whole = traced(&TRACER, &["cases_target::inner"], || {
            // SAFETY: the function takes a number, and this is its module's TOC.
            unsafe { in_steps::make_whole(&mut call, try_at_the_end) }
        })?;
        let said = SAID.lock().take();
        check!(said == Some(true), "unloading in front of the branch: {said:?}");
        whole?;
        unload()
    }

    /// A thread sleeps in a callback, and its trampoline has been detached since: the
    /// thread will go on into the function all the same.
    fn detached_trampolines_hold_modules() {
        let module = module()?;
        let inner = function(&module, "cases_target::inner")?;
        drop(module);
        let site = ftrace::find_site(inner).ok_or("the function has no site")?;
        LET_GO.store(false, Ordering::Relaxed);
        SLEEPER.store(0, Ordering::Relaxed);
        ftrace::register_at(&SLEEPS, &site).map_err(text)?;
        let handle = spawn("in a callback", move || {
            // SAFETY: the function is of this type; the module is loaded, or the test has failed.
            let inner = unsafe { mem::transmute::<usize, extern "C" fn(u64) -> u64>(inner as usize) };
            inner(1);
        })?;
        let me = handle.thread().clone();
        let sleeps = until("its sleep in the callback", || SLEEPER.load(Ordering::Relaxed) == me.id() && me.state() == State::Asleep);
        Batch::default().detach(&SLEEPS, &site).map_err(text)?;
        let says_so = is_running();
        check!(says_so, "the module was unloaded in front of a thread that is about to enter it");
        LET_GO.store(true, Ordering::Relaxed);
        me.unpark();
        drop(me);
        join(handle)?;
        ftrace::reclaim();
        unload()?;
        sleeps?;
        check!(ftrace::retired() == 0, "{} trampolines are left", ftrace::retired());
        Ok(())
    }

    /// An address that a preempted thread happens to have in a register keeps the module
    /// only as long as it is there: unloading looks again.
    fn unloading_looks_again() {
        let module = module()?;
        let value = module.range().start + 8;
        drop(module);
        let flags = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let shared = flags.clone();
        let holder = spawn("holder", move || specimen::hold_in_register(value, &shared[0], &shared[1]))?;
        let holds = until("its loop", || flags[1].load(Ordering::Relaxed) != 0);
        let range = value - 8..value + 8;
        let first = backtrace::any_in(core::slice::from_ref(&range));
        // It runs as soon as the thread that unloads gives way.
        let shared = flags.clone();
        let releaser = spawn("releaser", move || shared[0].store(1, Ordering::Relaxed))?;
        let unloaded = unload();
        flags[0].store(1, Ordering::Relaxed);
        for handle in [holder, releaser] {
            join(handle)?;
        }
        if unloaded.is_err() {
            unload()?;
        }
        holds?;
        check!(first, "the register was not seen");
        unloaded
    }
}
