//! Run-time abstraction services (PAPR chapter 7).
//!
//! The code at RTAS's entry point is given by firmware and, on QEMU, consists
//! of one hypervisor call. The kernel makes that call itself: the entry point
//! is lost when the kernel was entered with a flattened tree, the call is not.

use crate::{arch, cpus::CpuError};
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
    cells: [u32; 5],
}

/// Calls a service, and returns its outputs, the first of which is its status.
fn call<const IN: usize, const OUT: usize>(token: u32, inputs: [u32; IN]) -> [i32; OUT] {
    let mut buffer = Call {
        token: token.to_be(),
        inputs: (IN as u32).to_be(),
        outputs: (OUT as u32).to_be(),
        cells: [0; 5],
    };
    for (cell, input) in buffer.cells.iter_mut().zip(inputs) {
        *cell = input.to_be();
    }
    let pointer = NonNull::from(&mut buffer);
    let address = pointer.addr().get() as u64;
    // SAFETY: the hypervisor reads and writes this buffer and nothing else.
    unsafe { arch::hypervisor_call(hcall::H_RTAS, [address, 0, 0, 0]) };
    // The outputs were written behind the compiler's back.
    // SAFETY: `pointer` points to `buffer`, which lives.
    let buffer = unsafe { VolatilePtr::new(pointer) }.read();
    core::array::from_fn(|index| i32::from_be(buffer.cells[IN + index] as i32))
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

/// The tokens of the services that start CPUs.
#[derive(Clone, Copy, Debug)]
pub(super) struct CpuTokens {
    /// `start-cpu`
    pub start: u32,
    /// `query-cpu-stopped-state`
    pub state: u32,
}

static CPU_TOKENS: spin::Once<CpuTokens> = spin::Once::new();

/// Sets them, if firmware has the services.
pub(super) fn use_cpu_tokens(tokens: Option<CpuTokens>) {
    if let Some(tokens) = tokens {
        CPU_TOKENS.call_once(|| tokens);
    }
}

/// Whether a CPU executes instructions (PAPR 7.3.8.4, query-cpu-stopped-state).
pub(super) fn is_running(hardware_id: u32) -> bool {
    const RUNNING: i32 = 2;
    CPU_TOKENS
        .get()
        .is_some_and(|tokens| call(tokens.state, [hardware_id]) == [0, RUNNING])
}

/// Has a CPU start at an address, with `argument` in r3 (PAPR 7.3.8.3, start-cpu).
///
/// # Errors
/// When firmware can't, or won't.
pub fn start_cpu(hardware_id: u32, entry: u32, argument: u32) -> Result<(), CpuError> {
    let tokens = CPU_TOKENS.get().ok_or(CpuError::NoService)?;
    match call(tokens.start, [hardware_id, entry, argument]) {
        [0] => Ok(()),
        [status] => Err(CpuError::Refused(status)),
    }
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
        let [_] = call(token, [NEVER, NEVER]);
    }
    loop {
        arch::wait();
    }
}
