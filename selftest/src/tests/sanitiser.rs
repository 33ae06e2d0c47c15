//! The ABI sanitiser itself: it finds nothing where nothing is wrong, and everything
//! that is.

use crate::{
    check, selftest,
    tests::common::{join, spawn, traced},
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};
use lab::{
    instruments::{
        damage::{DAMAGE, damage_address},
        sanitiser::{SanitisedCall, kernel_toc},
    },
    targets,
};
use machine::{arch, sync::IrqLock};
use tracing::graph;

fn call(function: u64, through_pointer: bool, arguments: &[u64]) -> (Vec<String>, [u64; 2]) {
    let new = match through_pointer {
        true => SanitisedCall::through_pointer,
        false => SanitisedCall::local,
    };
    let mut call = new(function, kernel_toc(), arguments);
    // SAFETY: the tests pass what their functions take.
    unsafe { call.make() };
    let mut found = Vec::new();
    call.deviations(|one| found.push(format!("{one}")));
    (found, call.results())
}

/// Calls that are inside [`take_turns`], and which of them returns next.
static INSIDE: AtomicU64 = AtomicU64::new(0);
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Waits until two calls are inside, and for its turn.
#[inline(never)]
extern "C" fn take_turns(turn: u64) -> u64 {
    INSIDE.fetch_add(1, Ordering::Relaxed);
    while INSIDE.load(Ordering::Relaxed) < 2 || NEXT.load(Ordering::Relaxed) != turn {
        thread::yield_now();
    }
    NEXT.fetch_add(1, Ordering::Relaxed);
    100 + turn
}

/// Calls that, and checks the call.
fn takes_turn(turn: u64) -> crate::tests::Result {
    let (found, results) = call(take_turns as *const () as u64, false, &[turn]);
    check!(
        found.is_empty() && results[0] == 100 + turn,
        "call {turn}: {found:?} {results:?}"
    );
    Ok(())
}

selftest! {
    /// Two threads can have sanitised calls at a time, and each gets what its own has
    /// done, whichever returns first.
    fn calls_are_the_threads_own() {
        for mine in [0, 1] {
            INSIDE.store(0, Ordering::Relaxed);
            NEXT.store(0, Ordering::Relaxed);
            let other = Arc::new(IrqLock::new(None));
            let its_own = other.clone();
            let handle = spawn("other", move || {
                // Ours begins first, and returns first or last.
                while INSIDE.load(Ordering::Relaxed) == 0 {
                    thread::yield_now();
                }
                let result = takes_turn(1 - mine);
                *its_own.lock() = Some(result);
            })?;
            let result = takes_turn(mine);
            join(handle)?;
            result?;
            other.lock().take().ok_or("the other call was not made")??;
        }
        Ok(())
    }

    /// Whatever is damaged is found and named, and nothing else.
    fn damage() {
        let address = damage_address();
        for (kind, &expected) in DAMAGE.iter().enumerate() {
            let mut call = SanitisedCall::local(address, kernel_toc(), &[kind as u64]);
            let off = arch::interrupts_off();
            // SAFETY: the function damages what the call then puts right; interrupts are
            // off, so no other code needs r1 or r13 meanwhile.
            unsafe { call.make() };
            drop(off);
            let mut found = Vec::new();
            call.deviations(|one| found.push(one.what));
            check!(found == Vec::from_iter(expected), "damage {kind}: found {found:?} instead of {expected:?}");
        }
        Ok(())
    }

    /// A function with a hooked return leaves the r2 that it found: its caller may be a
    /// module, with a TOC of its own, that neither saves r2 nor restores it.
    fn hooked_returns_keep_a_foreign_toc() {
        const FOREIGN: u64 = 0x1234_5678;
        let function = targets::c_leaf as *const () as u64;
        let mut call = SanitisedCall::local(function, FOREIGN, &[7]);
        traced(&graph::OPS, &["c_leaf"], || {
            // No other code needs r2 meanwhile.
            let _off = arch::interrupts_off();
            // SAFETY: a leaf without TOC set-up, and one number.
            unsafe { call.make() };
        })?;
        let mut found = Vec::new();
        call.deviations(|one| found.push(format!("{one}")));
        check!(found.is_empty() && call.results()[0] == 22, "{found:?} {:?}", call.results());
        Ok(())
    }

    /// Functions of both compilers are clean.
    fn clean() {
        for through_pointer in [false, true] {
            let (found, results) = call(targets::leaf as *const () as u64, through_pointer, &[5]);
            check!(found.is_empty() && results[0] == 16, "leaf: {found:?} {results:?}");
            let (found, results) = call(targets::sum12 as *const () as u64, through_pointer, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
            check!(found.is_empty() && results[0] == 650, "sum12: {found:?} {results:?}");
            let (found, results) = call(targets::c_counts as *const () as u64, through_pointer, &[5]);
            check!(found.is_empty(), "c_counts: {found:?} {results:?}");
        }
        Ok(())
    }
}
