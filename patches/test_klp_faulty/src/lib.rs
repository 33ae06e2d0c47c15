//! A patch with a function that does whatever it should not.
#![no_std]

use core::sync::atomic::AtomicU64;

klp::module! {
    name: "test_klp_faulty",
    replaces: ["lab::targets::live::faulty" => faulty],
}

klp::replacement! {
    /// 1: panics. 2: runs into an illegal instruction. 3: overruns its stack. 11: writes over the
    /// kernel's code. 12: over a constant. 13: calls its data. 14: writes by a null pointer. 15: calls one.
    pub extern "C" fn faulty(kind: u64) -> u64 {
        match kind {
            1 => panics(),
            2 => illegal(),
            3 => endless(kind),
            11 => write_to(klp_ticks as *const () as usize),
            12 => write_to((&raw const CONSTANT).addr()),
            13 => call((&raw const DATA).addr()),
            14 => write_to(16),
            15 => call(0),
            _ => kind.wrapping_add(1),
        }
    }
}

unsafe extern "C" {
    /// A function of the kernel's.
    fn klp_ticks() -> u64;
}

static CONSTANT: u64 = 4;
static DATA: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
fn write_to(address: usize) -> u64 {
    // SAFETY: none: that is the fault.
    unsafe { core::ptr::with_exposed_provenance_mut::<u64>(address).write_volatile(5) };
    0
}

#[inline(never)]
fn call(address: usize) -> u64 {
    #[cfg(target_arch = "powerpc64")]
    // SAFETY: none: that is the fault.
    unsafe {
        // It does not come back, so nothing else is clobbered.
        core::arch::asm!("mtctr {0}", "bctrl", in(reg) address, out("ctr") _, out("lr") _);
    }
    address as u64
}

#[inline(never)]
fn panics() -> u64 {
    panic!("a replacement has panicked on purpose");
}

/// Calls itself until a frame opens in the stack's guard. No tail call, so that each call
/// needs a frame.
#[allow(unconditional_recursion, reason = "that is the fault")]
#[inline(never)]
fn endless(depth: u64) -> u64 {
    core::hint::black_box(endless(core::hint::black_box(depth.wrapping_add(1))))
}

#[inline(never)]
fn illegal() -> u64 {
    #[cfg(target_arch = "powerpc64")]
    // SAFETY: traps, and the thread goes no further.
    unsafe {
        core::arch::asm!(".long 0");
    }
    0
}
