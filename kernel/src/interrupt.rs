//! Where every interrupt arrives.

use crate::{arch, fault, stack, time};
use layout::TrapFrame;
use ppc64::vector;

/// Handles an interrupt; returns to go on with what `frame` describes.
pub extern "C" fn handle(frame: &mut TrapFrame) {
    let cpu = arch::cpu();
    if !stack::is_running(frame.gpr[1]) {
        fault::overflowed(frame);
    }
    // Wakes up a probe too, when a self-test enters this vector on purpose.
    if cpu.probe.take(frame) {
        return;
    }
    match frame.vector {
        vector::DECREMENTER => {
            if let Err(damage) = stack::check_guard() {
                fault::guard_damaged(frame, damage);
            }
            time::tick();
        }
        _ => fault::unexpected(frame),
    }
}
