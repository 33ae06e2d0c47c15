//! Hypervisor calls (PAPR 14.5.1): `sc 1` with the call's number in r3.

use super::InterruptsOff;
use core::arch::asm;
use ppc64::hcall;

/// Makes a hypervisor call. Returns the return code and r4 to r6.
///
/// # Safety
/// What the call does to memory or machine must be sound. Calls that are given
/// an address read or write memory there behind the compiler's back.
#[inline]
pub unsafe fn hypervisor_call(number: u64, arguments: [u64; 4]) -> (i64, [u64; 3]) {
    let [a, b, c, d] = arguments;
    let status: i64;
    let (r4, r5, r6);
    // SAFETY: the hypervisor keeps r1, r2, r13 to r31 and CR2-4 (PAPR 14.5.1);
    // all that it may change is named. The rest is the caller's promise.
    unsafe {
        asm!(
            "sc 1",
            inlateout("r3") number => status,
            inlateout("r4") a => r4,
            inlateout("r5") b => r5,
            inlateout("r6") c => r6,
            inlateout("r7") d => _,
            out("r0") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _,
            out("ctr") _, out("lr") _, out("xer") _,
            out("cr0") _, out("cr1") _, out("cr5") _, out("cr6") _, out("cr7") _,
        );
    }
    (status, [r4, r5, r6])
}

/// Lets the hypervisor have this CPU until the next interrupt, which is taken: the
/// call turns interrupts on (PAPR 14.11.3.1, H_CEDE). So it takes the guard, which must
/// be the only one.
///
/// What code before this call has left in registers is cleared, LR and CTR above all: an
/// interrupt in the sleep keeps them in its frame, and a look for code that is to be
/// freed would take them for a way there, as long as the CPU sleeps.
#[inline]
pub fn cede(off: InterruptsOff) {
    // SAFETY: touches no memory, and interrupts find their vectors. What the hypervisor may
    // change is named (PAPR 14.5.1), and so is what is cleared.
    unsafe {
        asm!(
            "li 0, 0",
            "mtlr 0",
            "mtctr 0",
            ".irp n, 4, 5, 6, 7, 8, 9, 10, 11, 12",
            "li \\n, 0",
            ".endr",
            "sc 1",
            inlateout("r3") hcall::H_CEDE => _,
            out("r0") _, out("r4") _, out("r5") _, out("r6") _, out("r7") _, out("r8") _,
            out("r9") _, out("r10") _, out("r11") _, out("r12") _,
            out("ctr") _, out("lr") _, out("xer") _,
            out("cr0") _, out("cr1") _, out("cr5") _, out("cr6") _, out("cr7") _,
        );
    }
    drop(off);
}

/// Asks for interrupts in little endian. Without it they are taken in big
/// endian, and the vectors would be read byte by byte backwards.
///
/// # Errors
/// The hypervisor's return code, when it refuses.
pub fn take_interrupts_in_little_endian() -> Result<(), i64> {
    // SAFETY: no interrupt handler is installed yet, so the endianness of
    // interrupts affects no code before the vectors are installed.
    unsafe { set_mode(hcall::SET_MODE_LITTLE_ENDIAN, hcall::SET_MODE_RESOURCE_LE) }
}

/// Has interrupts of code that runs with translation on arrive with it on, at the vectors for that.
///
/// # Errors
/// The hypervisor's return code, when it refuses.
pub fn take_interrupts_translated() -> Result<(), i64> {
    // SAFETY: code that runs in real mode goes on being interrupted there, and translation comes on
    // only with the vectors mapped.
    unsafe { set_mode(hcall::SET_MODE_AIL_3, hcall::SET_MODE_RESOURCE_ADDR_TRANS) }
}

/// Sets a mode of all CPUs.
///
/// # Safety
/// The kernel can run in it.
unsafe fn set_mode(value: u64, resource: u64) -> Result<(), i64> {
    // SAFETY: as the caller promises.
    let (status, _) = unsafe { hypervisor_call(hcall::H_SET_MODE, [value, resource, 0, 0]) };
    if status == hcall::H_SUCCESS {
        Ok(())
    } else {
        Err(status)
    }
}
