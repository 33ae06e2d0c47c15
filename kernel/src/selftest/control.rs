//! Tests that go wrong on purpose: the runner must notice each.

use crate::arch;

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

    /// Runs into an illegal instruction.
    fn crashes() {
        // SAFETY: traps, and the kernel ends.
        unsafe { core::arch::asm!(".long 0") };
        Ok(())
    }
}
