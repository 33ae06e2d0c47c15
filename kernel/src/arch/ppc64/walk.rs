//! Walks a stack along the back chain (ELFv2 2.2.2.1).

use layout::{FrameHeader, TrapFrame};

/// One step of a walk.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Address of the frame.
    pub address: u64,
    /// Where its function goes on: the return address that the callee saved in
    /// it, or the interrupted instruction.
    pub code: u64,
    /// What is in the LR save doubleword behind this frame: the same, or, where an
    /// interrupt has put its state, what the interrupted function's frame has there.
    pub lr_save: u64,
    /// Set where an interrupt has put its state on the stack.
    pub trap: Option<&'a TrapFrame>,
}

/// An iterator over frames, from the innermost out, on one of `N` pieces of stack memory
/// or from one to the other.
#[derive(Debug)]
pub struct Walk<const N: usize> {
    /// A frame's header is there, or it is 0: the walk has ended.
    next: u64,
    bounds: [(u64, u64); N],
}

/// Walks from the frame at `start`, inside the given ranges of stack memory
/// alone. Ends at a zero back chain, or at the first frame that does not fit:
/// outside the ranges, unaligned, or not above its callee's.
///
/// # Safety
/// The ranges are memory that stays readable while the walk lasts, and nobody
/// writes to the frames in it.
#[must_use]
#[inline]
pub unsafe fn walk<const N: usize>(start: u64, bounds: [(u64, u64); N]) -> Walk<N> {
    let mut walk = Walk { next: 0, bounds };
    walk.go_on_at(start);
    walk
}

impl<const N: usize> Walk<N> {
    /// Whether `size` bytes at `address` are stack memory.
    #[inline]
    fn holds(&self, address: u64, size: usize) -> bool {
        let end = address.checked_add(size as u64);
        address.is_multiple_of(16)
            && end.is_some_and(|end| {
                self.bounds
                    .iter()
                    .any(|&(low, high)| low <= address && end <= high)
            })
    }

    /// The walk's next frame is there, if it can be.
    #[inline]
    fn go_on_at(&mut self, address: u64) {
        let fits = self.holds(address, size_of::<FrameHeader>());
        self.next = if fits { address } else { 0 };
    }

    #[inline]
    fn same_stack(&self, one: u64, other: u64) -> bool {
        self.bounds
            .iter()
            .any(|&(low, high)| low <= one && one < high && low <= other && other < high)
    }
}

impl<const N: usize> Iterator for Walk<N> {
    type Item = Frame<'static>;

    // The compiler's own choice varies with what else is in the kernel, and a transition
    // walks every thread's stack: a call for each frame costs it a third more.
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let address = self.next;
        if address == 0 {
            return None;
        }
        // SAFETY: inside the bounds and aligned, as `go_on_at` has found; `walk`'s
        // caller promises that this is readable and does not change.
        let caller = unsafe { (*(address as *const FrameHeader)).back_chain };
        // Chains lead upwards, except from the fallback stack back to another.
        if caller > address || !self.same_stack(caller, address) {
            self.go_on_at(caller);
        } else {
            self.next = 0;
        }
        // SAFETY: as above, for the caller's header, where a callee saves LR.
        let lr_save = || unsafe { (*(caller as *const FrameHeader)).lr_save };
        // A smaller frame is none that an interrupt has made.
        let is_large = caller.wrapping_sub(address) >= size_of::<TrapFrame>() as u64;
        if is_large && self.holds(address, size_of::<TrapFrame>()) {
            // SAFETY: as above, for the whole trap frame.
            let trap = unsafe { &*(address as *const TrapFrame) };
            if trap.is_marked(address) {
                return Some(Frame {
                    address,
                    code: trap.nip,
                    lr_save: if self.next == 0 { 0 } else { lr_save() },
                    trap: Some(trap),
                });
            }
        }
        if self.next == 0 {
            return None;
        }
        let code = lr_save();
        Some(Frame {
            address: caller,
            code,
            lr_save: code,
            trap: None,
        })
    }
}
