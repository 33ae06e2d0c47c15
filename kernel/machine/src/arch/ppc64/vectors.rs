//! Puts the interrupt vectors where the CPU looks for them.
//!
//! The code is in `boot/src/vectors.S`. With translation off, an interrupt goes
//! to a fixed real address near zero, which firmware used until now; with it on, to another one,
//! at a fixed distance. There is a copy for each: also with translation on, a machine check or a
//! system reset turns it off and takes the first.

use super::{Cpu, Stack, interrupts_off};
use core::{arch::asm, sync::atomic::Ordering};
use layout::TrapFrame;
use ppc64::vector;

/// What every interrupt is given to. Runs with interrupts off, on the stack of
/// what it has interrupted or on the fallback stack; what it leaves in the frame
/// is what the interrupted code goes on with.
pub type Handler = extern "C" fn(&mut TrapFrame);

unsafe extern "C" {
    static __vectors: u32;
    static __vectors_scv: u32;
}

/// Copies code to `to`, word by word.
///
/// # Safety
/// `from` holds `words` words of code; nothing else uses the memory at `to`.
unsafe fn copy_code(from: *const u32, to: u64, words: u64) {
    for word in 0..words {
        // SAFETY: inside the code that the caller vouches for, and into memory
        // that the caller vouches for.
        unsafe {
            let value = from.add(word as usize).read();
            super::store_instruction(to + 4 * word, to + 4 * word, value);
        }
    }
}

/// Installs all vectors, with `handler` behind them and `fallback` as the stack
/// for interrupts that find r1 outside the running stack.
///
/// # Safety
/// Call once, with interrupts off and after `start_cpu`. Firmware is gone, and
/// nothing else uses memory from [`vector::FIRST`] to the end of [`vector::SCV_REAL`]'s. `fallback` is never used for
/// anything else.
pub unsafe fn install_vectors(handler: Handler, fallback: &Stack) {
    interrupts_off().cpu().use_vectors(handler, fallback);
    // SAFETY: vectors.S lays out one slot for each vector of both ranges, one
    // range behind the other; the caller promises the destination.
    unsafe {
        for to in [vector::FIRST, vector::OFFSET + vector::FIRST] {
            copy_code(&raw const __vectors, to, (vector::END - vector::FIRST) / 4);
        }
        for to in [vector::SCV_REAL, vector::SCV_FIRST] {
            let words = (vector::SCV_END - vector::SCV_FIRST) / 4;
            copy_code(&raw const __vectors_scv, to, words);
        }
    }
}

impl Cpu {
    /// Sets what interrupt entry uses on this CPU.
    pub fn use_vectors(&self, handler: Handler, fallback: &Stack) {
        let toc: u64;
        // SAFETY: reads r2, which is the kernel's TOC pointer in kernel code.
        unsafe { asm!("mr {}, 2", out(reg) toc, options(nomem, nostack, preserves_flags)) };
        let entry = &self.entry;
        entry.toc.store(toc, Ordering::Relaxed);
        entry
            .handler
            .store(handler as usize as u64, Ordering::Relaxed);
        entry
            .fallback_stack
            .store(fallback.top(), Ordering::Relaxed);
    }
}

/// The instructions by which an interrupt returns, the last of them `rfid`.
#[must_use]
pub fn trap_return_words() -> &'static [u32] {
    crate::code_between!(trap_return, __trap_end)
}
