//! Tests that go wrong on purpose: the runner must notice each.

use alloc::format;
use machine::arch;

crate::selftest! {
    control;

    /// Fails.
    fn fails() {
        Err("on purpose".into())
    }

    /// Never ends, with interrupts on.
    fn hangs() {
        loop {
            arch::wait();
        }
    }

    /// Never ends, though another thread runs and ticks come.
    fn spins() {
        thread::spawn("spins", || loop {
            core::hint::spin_loop();
        })
        .map_err(|error| format!("{error}"))?;
        loop {
            core::hint::spin_loop();
        }
    }

    /// Runs into an illegal instruction.
    fn crashes() {
        // SAFETY: traps, and the kernel ends.
        unsafe { core::arch::asm!(".long 0") };
        Ok(())
    }
}
