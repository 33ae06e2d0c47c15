//! Run-time abstraction services (PAPR chapter 7).
//!
//! The code at RTAS's entry point is given by firmware and, on QEMU, consists
//! of one hypervisor call. The kernel makes that call itself: the entry point
//! is lost when the kernel was entered with a flattened tree, the call is not.

use crate::arch;
use core::{
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};
use ppc64::hcall;
use volatile::VolatilePtr;

/// An argument buffer (PAPR 7.2.7): big-endian cells.
#[derive(Clone, Copy)]
#[repr(C)]
struct Call {
    token: u32,
    inputs: u32,
    outputs: u32,
    cells: [u32; 4],
}

/// Calls a service with two inputs and one output, and returns its status.
fn call(token: u32, inputs: [u32; 2]) -> i32 {
    let mut buffer = Call {
        token: token.to_be(),
        inputs: 2_u32.to_be(),
        outputs: 1_u32.to_be(),
        cells: [inputs[0].to_be(), inputs[1].to_be(), 0, 0],
    };
    let pointer = NonNull::from(&mut buffer);
    let address = pointer.addr().get() as u64;
    // SAFETY: the hypervisor reads and writes this buffer and nothing else.
    unsafe { arch::hypervisor_call(hcall::H_RTAS, [address, 0, 0, 0]) };
    // The status was written behind the compiler's back.
    // SAFETY: `pointer` points to `buffer`, which lives.
    let buffer = unsafe { VolatilePtr::new(pointer) }.read();
    i32::from_be_bytes(buffer.cells[2].to_ne_bytes())
}

/// The token for power-off, or [`NO_TOKEN`]. Not in the platform: it is needed when that
/// could not be read.
static POWER_OFF: AtomicU64 = AtomicU64::new(NO_TOKEN);
/// More than a token has bits.
const NO_TOKEN: u64 = u64::MAX;

/// Sets the token for power-off.
pub(super) fn use_token(token: Option<u32>) {
    POWER_OFF.store(token.map_or(NO_TOKEN, u64::from), Ordering::Relaxed);
}

fn token() -> Option<u32> {
    u32::try_from(POWER_OFF.load(Ordering::Relaxed)).ok()
}

/// Whether the machine can be turned off.
#[must_use]
pub fn can_power_off() -> bool {
    token().is_some()
}

/// Turns the machine off (PAPR 7.3.9.1). Waits for the end of time if it does
/// not go off: then there is no more to do, and the runner's time limit ends it.
pub fn power_off() -> ! {
    const NEVER: u32 = u32::MAX;
    if let Some(token) = token() {
        call(token, [NEVER, NEVER]);
    }
    loop {
        arch::wait();
    }
}
