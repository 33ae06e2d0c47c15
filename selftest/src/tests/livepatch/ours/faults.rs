//! Replacement functions that fault: the thread is stopped, the patch taken back,
//! and the others go on.

use super::super::{disable, enable, is, is_taken_back, start, text, undisturbed, unload};
use crate::{
    check,
    tests::{Result, common::spawn},
};
use alloc::string::String;
use core::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};
use lab::targets::live;
use livepatch as klp;
use livepatch::Status;
use machine::{mmu, time};

const PATCH: &str = "test_klp_faulty";

/// Threads that have gone on behind their fault.
static AFTERWARDS: AtomicU64 = AtomicU64::new(0);

/// A thread calls the replacement of [`live::faulty`], which faults in this way, and is
/// stopped: with what sentence.
fn stops(kind: u64) -> core::result::Result<String, String> {
    let faulting = spawn("faulting", move || {
        black_box(live::faulty(kind));
        AFTERWARDS.fetch_add(1, Ordering::Relaxed);
    })?;
    let error = faulting.join().err();
    error.map(text).ok_or("the thread has returned".into())
}

/// It is stopped, the patch taken back, and nothing else has changed.
fn faults(kind: u64) -> Result {
    undisturbed(|| {
        let afterwards = AFTERWARDS.load(Ordering::Relaxed);
        enable(PATCH)?;
        check!(live::faulty(0) == 1, "not patched");
        let stopped = thread::stopped();
        let bystander = super::super::Staying::start("bystander", 0, || {
            live::test_stay(live::ASLEEP);
            live::faulty(7)
        })?;
        let error = stops(kind)?;
        check!(
            thread::stopped() == stopped + 1,
            "{} threads were stopped",
            thread::stopped() - stopped
        );
        is_taken_back(PATCH)?;
        // Only now, or it would come before or after what the worker says.
        println!("{error}");
        check!(
            live::faulty(7) == 7,
            "the old function returns {}",
            live::faulty(7)
        );
        bystander.returns(7)?;
        check!(
            AFTERWARDS.load(Ordering::Relaxed) == afterwards,
            "the thread has gone on"
        );
        unload(PATCH)
    })
}

/// In real mode nothing stops it.
fn if_translated(body: impl FnOnce() -> Result) -> Result {
    if mmu::is_on() { body() } else { Ok(()) }
}

crate::selftest! {
    /// It panics.
    fn panic() {
        faults(1)
    }

    /// It runs into an illegal instruction.
    fn illegal_instruction() {
        faults(2)
    }

    /// It calls itself until the stack is full.
    fn stack_overrun() {
        if_translated(|| faults(3))
    }

    /// It writes over the kernel's code.
    fn store_into_code() {
        if_translated(|| faults(11))
    }

    /// It writes over one of its constants.
    fn store_into_constants() {
        if_translated(|| faults(12))
    }

    /// It calls what is data.
    fn call_of_data() {
        if_translated(|| faults(13))
    }

    /// It follows a null pointer.
    fn null_pointer() {
        if_translated(|| faults(14))
    }

    /// It calls one.
    fn call_of_null() {
        if_translated(|| faults(15))
    }

    /// It faults in the middle of the transition, which is reversed then.
    fn in_a_transition() {
        undisturbed(|| {
            enable("test_klp_stays")?;
            let holds = super::super::Staying::in_target("holds", 0, live::ASLEEP, 0)?;
            let file = super::super::replacing(PATCH)?;
            klp::load(&file, klp::Options::default()).map_err(text)?;
            is(PATCH, Some(Status::Enabling))?;
            stops(2)?;
            is_taken_back(PATCH)?;
            is("test_klp_stays", Some(Status::Enabled))?;
            check!(live::faulty(7) == 7, "the old function returns {}", live::faulty(7));
            unload(PATCH)?;
            holds.returns(2)?;
            super::super::remove("test_klp_stays")
        })
    }

    /// It faults while another patch is in transition: it is taken back after that.
    fn in_anothers_transition() {
        undisturbed(|| {
            enable(PATCH)?;
            let holds = super::super::Staying::in_target("holds", 0, live::ASLEEP, 0)?;
            start("test_klp_stays")?;
            stops(2)?;
            is(PATCH, Some(Status::Enabled))?;
            is("test_klp_stays", Some(Status::Enabling))?;
            holds.returns(1)?;
            is_taken_back(PATCH)?;
            is("test_klp_stays", Some(Status::Enabled))?;
            unload(PATCH)?;
            super::super::remove("test_klp_stays")
        })
    }

    /// Taken back and unloaded, the same patch can be enabled again.
    fn enabled_again() {
        undisturbed(|| {
            for _ in 0..2 {
                enable(PATCH)?;
                stops(2)?;
                is_taken_back(PATCH)?;
                unload(PATCH)?;
            }
            enable(PATCH)?;
            check!(live::faulty(0) == 1, "not patched");
            disable(PATCH)?;
            unload(PATCH)
        })
    }
}

/// Runs into an illegal instruction, outside all patches.
#[inline(never)]
fn illegal() {
    // SAFETY: traps, and goes no further.
    // Not the words of `crash=illegal`, or the linker would make one of the two.
    unsafe { core::arch::asm!(".long 4") }
}

crate::selftest! {
    control;

    /// A patch is enabled, and a thread faults that is in none of its functions: that
    /// still ends the run.
    fn outside_the_patch() {
        enable(PATCH)?;
        let _ = spawn("faulting", illegal)?.join();
        Err("the run goes on".into())
    }

    /// The main thread can't be stopped, so its fault ends the run, even in a patch.
    fn in_the_main_thread() {
        enable(PATCH)?;
        black_box(live::faulty(2));
        Err("the run goes on".into())
    }

    /// In an interrupt handler it is not known what is half done: the run ends.
    fn in_an_interrupt() {
        fn hook() {
            black_box(live::faulty(2));
        }
        enable(PATCH)?;
        let spinning = spawn("spinning", || {
            time::call_on_tick(hook);
            loop {
                core::hint::spin_loop();
            }
        })?;
        let _ = spinning.join();
        Err("the run goes on".into())
    }

    /// In a callback, the thread holds the lock of all changes of patches, so no patch could be
    /// taken back: the run ends.
    fn in_a_callback() {
        const PATCH: &str = "test_klp_callbacks_demo";
        fn hook(note: &str) {
            if note.contains("pre_unpatch") {
                illegal();
            }
        }
        enable(PATCH)?;
        live::on_note(Some(hook));
        let disabling = thread::spawn("disabling", || {
            let _ = klp::disable(PATCH);
        });
        let _ = disabling.map_err(text)?.join();
        Err("the run goes on".into())
    }

    /// With a lock held, here by the caller of the replacement, no other thread could go
    /// on: the run ends.
    fn with_a_lock_held() {
        static LOCK: machine::sync::IrqLock<()> = machine::sync::IrqLock::new(());
        enable(PATCH)?;
        let faulting = spawn("faulting", || {
            let _guard = LOCK.lock();
            black_box(live::faulty(2));
        })?;
        let _ = faulting.join();
        Err("the run goes on".into())
    }
}
