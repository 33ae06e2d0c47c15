//! Calls in single steps: what is carried out in the CPU's place, and what is given up.

use crate::{check, tests::common::traced};
use core::{
    sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use lab::{
    instruments::sanitiser::{SanitisedCall, kernel_toc},
    single_step::{self, At, Next},
};
use layout::TrapFrame;
use machine::text;
use ppc64::{insn, vector};
use tracing::graph;

/// Runs into an instruction that there is not.
#[inline(never)]
extern "C" fn lost() {
    // SAFETY: traps, and the call is given up. Not the words of `crash=illegal`, or the
    // linker would make one of the two.
    unsafe { core::arch::asm!(".long 8") }
}

/// Never comes back.
#[inline(never)]
extern "C" fn endless() {
    loop {
        core::hint::spin_loop();
    }
}

/// One of each size that there are reservations for.
static CELLS: (AtomicU8, AtomicU16, AtomicU32, AtomicU64) = (
    AtomicU8::new(0),
    AtomicU16::new(0),
    AtomicU32::new(0),
    AtomicU64::new(0),
);

fn add(number: u8) {
    CELLS.0.fetch_add(number, Relaxed);
    CELLS.1.fetch_add(number.into(), Relaxed);
    CELLS.2.fetch_add(number.into(), Relaxed);
    CELLS.3.fetch_add(number.into(), Relaxed);
}

/// The lowest byte of each.
fn cells() -> [u8; 4] {
    [
        CELLS.0.load(Relaxed),
        CELLS.1.load(Relaxed) as u8,
        CELLS.2.load(Relaxed) as u8,
        CELLS.3.load(Relaxed) as u8,
    ]
}

#[inline(never)]
extern "C" fn add_two() {
    add(2);
}

crate::selftest! {
    /// A stepped store-conditional stores if memory holds what the load has found, and
    /// fails if it does not: then the loop around it is gone through once more.
    fn reservations_are_kept() {
        let mut call = SanitisedCall::local(add_two as *const () as u64, kernel_toc(), &[]);
        let mut stores = 0;
        let mut visitor = |frame: &mut TrapFrame, at| {
            let atomic = insn::atomic(text::read(frame.nip));
            if at == At::Instruction && atomic.is_some_and(|one| one.stores) {
                stores += 1;
                // In front of the first of each cell.
                if stores % 2 == 1 {
                    add(10);
                }
            }
            Next::Step
        };
        let before = cells();
        // SAFETY: it takes nothing.
        let fault = unsafe { single_step::make(&mut call, &mut visitor) }.fault;
        check!(fault.is_none(), "the call is lost: {fault:?}");
        check!(stores == 8, "{stores} store-conditionals instead of two for each cell");
        let after = cells();
        check!(after == before.map(|cell| cell.wrapping_add(42)), "{before:?} became {after:?}");
        Ok(())
    }

    /// A call that never comes back is given up in time.
    fn an_endless_call_is_given_up() {
        let mut call = SanitisedCall::local(endless as *const () as u64, kernel_toc(), &[]);
        let soon = Duration::from_millis(20);
        // SAFETY: it takes nothing.
        let made = unsafe { single_step::make_within(soon, &mut call, &mut |_, _| Next::Run) };
        let found = made.fault.map(|fault| fault.vector);
        check!(found == Some(vector::DECREMENTER), "given up by {found:x?}");
        Ok(())
    }

    /// What the graph tracer keeps of a call that is given up goes with it. What is
    /// traced afterwards would return to that call's caller.
    fn hooked_calls_are_forgotten() {
        let mut call = SanitisedCall::local(lost as *const () as u64, kernel_toc(), &[]);
        let (fault, depth) = traced(&graph::OPS, &["selftest::tests::single_step::lost"], || {
            // At full speed from the first instruction on.
            // SAFETY: it takes nothing.
            let fault = unsafe { single_step::make(&mut call, &mut |_, _| Next::Run) }.fault;
            let depth = graph::depth();
            // Or, without what is tested here, the next to return would be lost for real.
            graph::forget_above(0);
            (fault, depth)
        })?;
        let found = fault.map(|fault| fault.vector);
        check!(found == Some(vector::PROGRAM), "given up by {found:x?}");
        check!(depth == 0, "{depth} calls are still hooked");
        Ok(())
    }
}
