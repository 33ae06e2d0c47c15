//! The ABI sanitiser itself: it finds nothing where nothing is wrong, and everything
//! that is.

use crate::{
    arch::{
        self,
        damage::{DAMAGE, damage_address},
        sanitiser::SanitisedCall,
    },
    check, selftest, symbols, victims,
};
use alloc::{format, string::String, vec::Vec};

/// The kernel's TOC pointer.
fn kernel_toc() -> u64 {
    crate::arch::cpu()
        .entry
        .toc
        .load(core::sync::atomic::Ordering::Relaxed)
}

fn call(function: u64, through_pointer: bool, arguments: &[u64]) -> (Vec<String>, [u64; 2]) {
    let local = symbols::function_at(function).map_or(0, |entry| u64::from(entry.local_entry));
    let mut call = SanitisedCall::new(function, local, kernel_toc(), through_pointer);
    call.arguments[..arguments.len()].copy_from_slice(arguments);
    // SAFETY: the tests pass what their functions take.
    unsafe { call.make() };
    let mut found = Vec::new();
    call.deviations(|one| found.push(format!("{one}")));
    (found, call.results())
}

selftest! {
    /// Whatever is damaged is found and named, and nothing else.
    fn damage() {
        let address = damage_address();
        for (kind, &expected) in DAMAGE.iter().enumerate() {
            let mut call = SanitisedCall::new(address, 0, kernel_toc(), false);
            call.arguments[0] = kind as u64;
            let off = arch::interrupts_off();
            // SAFETY: the function damages what the call then puts right; interrupts are
            // off, so nobody else needs r1 or r13 meanwhile.
            unsafe { call.make() };
            drop(off);
            let mut found = Vec::new();
            call.deviations(|one| found.push(one.what));
            check!(found == Vec::from_iter(expected), "damage {kind}: found {found:?} instead of {expected:?}");
        }
        Ok(())
    }

    /// Functions of both compilers are clean.
    fn clean() {
        for through_pointer in [false, true] {
            let (found, results) = call(victims::leaf as *const () as u64, through_pointer, &[5]);
            check!(found.is_empty() && results[0] == 16, "leaf: {found:?} {results:?}");
            let (found, results) = call(victims::sum12 as *const () as u64, through_pointer, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
            check!(found.is_empty() && results[0] == 650, "sum12: {found:?} {results:?}");
            let (found, results) = call(victims::c_counts as *const () as u64, through_pointer, &[5]);
            check!(found.is_empty(), "c_counts: {found:?} {results:?}");
        }
        Ok(())
    }
}
