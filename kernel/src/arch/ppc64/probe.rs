//! Interrupts provoked on purpose, for self-tests.
//!
//! An armed probe makes the interrupt handler note what came and go on at an
//! address of the provoker's choice, instead of ending the run.

use super::{cpu, interrupts_off, machine_state};
use core::{
    arch::asm,
    sync::atomic::{AtomicU64, Ordering},
};
use layout::TrapFrame;

/// A CPU's probe. At rest, `resume` is zero.
#[derive(Debug, Default)]
pub struct Probe {
    resume: AtomicU64,
    vector: AtomicU64,
    nip: AtomicU64,
    dar: AtomicU64,
}

/// What an armed probe saw.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seen {
    /// The vector that was taken; zero if none was.
    pub vector: u64,
    /// The address that the interrupt reported.
    pub nip: u64,
    /// The address of the data that it was about, if it was about data: DAR (ISA Book III,
    /// "Data Address Register"). Otherwise what an earlier one has left there.
    pub dar: u64,
}

impl Probe {
    pub(super) const fn new() -> Self {
        Self {
            resume: AtomicU64::new(0),
            vector: AtomicU64::new(0),
            nip: AtomicU64::new(0),
            dar: AtomicU64::new(0),
        }
    }

    /// For the interrupt handler: if the probe is armed, notes the interrupt,
    /// disarms it and lets the interrupted code go on where the provoker waits.
    pub fn take(&self, frame: &mut TrapFrame) -> bool {
        let resume = self.resume.swap(0, Ordering::Relaxed);
        if resume == 0 {
            return false;
        }
        self.vector.store(frame.vector, Ordering::Relaxed);
        self.nip.store(frame.nip, Ordering::Relaxed);
        self.dar.store(frame.dar, Ordering::Relaxed);
        frame.nip = resume;
        frame.msr &= !ppc64::msr::SE;
        true
    }

    fn seen(&self) -> Seen {
        Seen {
            vector: self.vector.swap(0, Ordering::Relaxed),
            nip: self.nip.swap(0, Ordering::Relaxed),
            dar: self.dar.swap(0, Ordering::Relaxed),
        }
    }
}

/// Runs instructions that take no operands and must interrupt, with the probe
/// armed, and yields what was [`Seen`].
#[macro_export]
macro_rules! provoke {
    ($($instruction:literal),+ $(, const $name:ident = $value:expr)* $(,)?) => {{
        let off = $crate::arch::interrupts_off();
        let resume = $crate::arch::probe::address_of_resume();
        // SAFETY: the probe sends the interrupt on to the label behind the
        // instructions; what they may change is declared.
        unsafe {
            core::arch::asm!(
                "lis 9, 77f@ha",
                "addi 9, 9, 77f@l",
                "std 9, 0(10)",
                $($instruction,)+
                "77:",
                $($name = const $value,)*
                in("r10") resume, out("r9") _, out("r11") _, out("r12") _,
                out("lr") _, out("ctr") _, out("cr0") _,
            );
        }
        let seen = $crate::arch::probe::finish();
        drop(off);
        seen
    }};
}

/// Where [`provoke!`](crate::provoke) stores the address to go on at.
#[must_use]
pub fn address_of_resume() -> *mut u64 {
    cpu().probe.resume.as_ptr()
}

/// Disarms the probe, and returns what it saw.
#[must_use]
pub fn finish() -> Seen {
    let probe = &cpu().probe;
    probe.resume.store(0, Ordering::Relaxed);
    probe.seen()
}

/// Enters the interrupt vector at `address` the way the CPU does, with a return
/// address in SRR0, and yields what the handler [`Seen`].
#[must_use]
pub fn enter_vector(address: u64) -> Seen {
    let _off = interrupts_off();
    let msr = machine_state();
    let resume = address_of_resume();
    // SAFETY: SRR0 and SRR1 describe the label behind the branch in the running
    // state, and MSR[RI] is off while they do; the handler comes back there with
    // every register but CTR as it was.
    unsafe {
        asm!(
            "lis 9, 77f@ha",
            "addi 9, 9, 77f@l",
            "std 9, 0(10)",
            "li 11, 0",
            "mtmsrd 11, 1",
            "mtsrr0 9",
            "mtsrr1 {msr}",
            "mtctr {address}",
            "bctr",
            "77:",
            msr = in(reg) msr,
            address = in(reg) address,
            in("r10") resume, out("r9") _, out("r11") _, out("ctr") _,
        );
    }
    finish()
}
