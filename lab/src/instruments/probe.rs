//! Interrupts provoked on purpose, for self-tests.
//!
//! An armed probe makes the interrupt handler note what came and go on at an
//! address of the provoker's choice, instead of ending the run.

use core::{
    arch::asm,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};
use layout::TrapFrame;
use machine::{
    arch::{self, interrupts_off, machine_state},
    sync::Hook,
};
use ppc64::vector;
use thread::interrupt::{self, Watcher};

/// The CPU that the probe belongs to: another one's interrupts are none of it.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// Where to go on after the interrupt; zero while the probe is not armed.
static RESUME: AtomicU64 = AtomicU64::new(0);
static VECTOR: AtomicU64 = AtomicU64::new(0);
static NIP: AtomicU64 = AtomicU64::new(0);
static DAR: AtomicU64 = AtomicU64::new(0);
static CAUSE: AtomicU64 = AtomicU64::new(0);
/// The watcher that saw interrupts first before the probe was armed.
static BEFORE: Hook<Watcher> = Hook::new();

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
    /// Why an access to memory was refused: of data DSISR, of an instruction what SRR1 says (ISA Book III,
    /// "Data Storage Interrupt", "Instruction Storage Interrupt"). The bits have the same meanings.
    pub cause: u64,
}

/// Notes the interrupt, disarms the probe, and lets the interrupted code go on where the
/// provoker waits.
fn take(frame: &mut TrapFrame) -> bool {
    if arch::number() != OWNER.load(Ordering::Relaxed) {
        return false;
    }
    let resume = RESUME.swap(0, Ordering::Relaxed);
    if resume == 0 {
        return false;
    }
    VECTOR.store(frame.vector, Ordering::Relaxed);
    NIP.store(frame.nip, Ordering::Relaxed);
    DAR.store(frame.dar, Ordering::Relaxed);
    let cause = if frame.vector == vector::INSTRUCTION_STORAGE {
        frame.msr & vector::STORAGE_CAUSES
    } else {
        frame.dsisr
    };
    CAUSE.store(cause, Ordering::Relaxed);
    frame.nip = resume;
    frame.msr &= !ppc64::msr::SE;
    true
}

/// Runs instructions that take no operands and must interrupt, with the probe
/// armed, and yields what was [`Seen`].
#[macro_export]
macro_rules! provoke {
    ($($instruction:literal),+ $(, const $name:ident = $value:expr)* $(,)?) => {{
        let off = machine::arch::interrupts_off();
        let resume = $crate::instruments::probe::begin();
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
        let seen = $crate::instruments::probe::finish();
        drop(off);
        seen
    }};
}

/// Lets the probe see this CPU's interrupts: they are off. Where the address to go on at must be stored, which
/// arms it.
#[must_use]
pub fn begin() -> *mut u64 {
    OWNER.store(arch::number(), Ordering::Relaxed);
    BEFORE.set(interrupt::watch(Some(take)));
    RESUME.as_ptr()
}

/// Disarms the probe, and returns what it saw.
#[must_use]
pub fn finish() -> Seen {
    let _ = interrupt::watch(BEFORE.get());
    RESUME.store(0, Ordering::Relaxed);
    Seen {
        vector: VECTOR.swap(0, Ordering::Relaxed),
        nip: NIP.swap(0, Ordering::Relaxed),
        dar: DAR.swap(0, Ordering::Relaxed),
        cause: CAUSE.swap(0, Ordering::Relaxed),
    }
}

/// A way to use an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Use {
    /// A load of a word.
    Load,
    /// A store of a word.
    Store,
    /// A call.
    Call,
}

/// Uses an address, and yields what was [`Seen`]: nothing, if that went well.
///
/// # Safety
/// Whatever does not interrupt does what the kernel's safety rests on.
#[must_use]
pub unsafe fn attempt(how: Use, address: u64) -> Seen {
    let _off = interrupts_off();
    let resume = begin();
    macro_rules! attempted {
        ($($instruction:literal),+) => {
            asm!(
                "lis 9, 77f@ha",
                "addi 9, 9, 77f@l",
                "std 9, 0(10)",
                $($instruction,)+
                "77:",
                in("r12") address, in("r10") resume, out("r9") _, out("r11") _,
                out("lr") _, out("ctr") _,
            )
        };
    }
    // SAFETY: the probe sends the interrupt on to the label behind the instruction; the rest is the caller's
    // promise.
    unsafe {
        match how {
            Use::Load => attempted!("lwz 11, 0(12)"),
            Use::Store => attempted!("stw 12, 0(12)"),
            Use::Call => attempted!("mtctr 12", "bctrl"),
        }
    }
    finish()
}

/// Enters the interrupt vector at `address` the way the CPU does, with a return
/// address in SRR0, and yields what the handler [`Seen`].
#[must_use]
pub fn enter_vector(address: u64) -> Seen {
    let _off = interrupts_off();
    let msr = machine_state();
    let resume = begin();
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
