//! Interrupts from one CPU to another: the presentation controller that every POWER8, 9
//! and 10 partition has without asking, by hypervisor calls (PAPR 14.4, XICS).
//!
//! Each CPU has a register of its own priority (CPPR) and one that others write to ask
//! for an interrupt (MFRR); the lower number wins. A request waits as long as interrupts
//! are off, also over `H_CEDE`, which then returns at once: so none is lost.

use super::hypervisor_call;
use ppc64::hcall;

/// Takes requests from every CPU. Once on each CPU.
pub fn accept_ipis() {
    // SAFETY: touches no memory; the interrupts that it lets in have their handler.
    let _ = unsafe { hypervisor_call(hcall::H_CPPR, [hcall::LEAST_FAVOURED, 0, 0, 0]) };
}

/// Asks for an interrupt of the CPU with this hardware id. What the CPU is to find must be
/// written before: the call orders that.
pub fn send_ipi(hardware_id: u32) {
    let arguments = [u64::from(hardware_id), hcall::IPI_PRIORITY, 0, 0];
    // SAFETY: touches no memory. `sync` orders what was stored before it.
    let (status, _) = unsafe {
        core::arch::asm!("sync", options(nostack, preserves_flags));
        hypervisor_call(hcall::H_IPI, arguments)
    };
    debug_assert_eq!(status, hcall::H_SUCCESS);
}

/// Takes an external interrupt of this CPU from the controller. Says whether another CPU
/// has asked for it. Look at what was asked afterwards: a request that comes meanwhile is an
/// interrupt of its own.
pub fn take_ipi(own_hardware_id: u32) -> bool {
    /// The source of an interrupt that another CPU has asked for.
    const IPI: u64 = 2;
    /// Where the source is in what H_XIRR returns, below the priority.
    const SOURCE: u64 = 0x00ff_ffff;
    // SAFETY: the three touch no memory.
    unsafe {
        let (_, [xirr, ..]) = hypervisor_call(hcall::H_XIRR, [0; 4]);
        let is_ipi = xirr & SOURCE == IPI;
        if is_ipi {
            let withdraw = [u64::from(own_hardware_id), hcall::LEAST_FAVOURED, 0, 0];
            hypervisor_call(hcall::H_IPI, withdraw);
        }
        if xirr & SOURCE != 0 {
            hypervisor_call(hcall::H_EOI, [xirr, 0, 0, 0]);
        }
        is_ipi
    }
}
