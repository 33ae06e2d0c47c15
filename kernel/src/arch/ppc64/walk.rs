//! Walks a stack along the back chain (ELFv2 2.2.2.1).

use layout::{FrameHeader, TRAP_MARKER, TrapFrame};

/// One step of a walk.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Address of the frame.
    pub address: u64,
    /// Where its function goes on: the return address that the callee saved in
    /// it, or the interrupted instruction.
    pub code: u64,
    /// Set where an interrupt has put its state on the stack.
    pub trap: Option<&'a TrapFrame>,
}

/// An iterator over frames, from the innermost out.
#[derive(Debug)]
pub struct Walk {
    next: u64,
    bounds: [(u64, u64); 3],
}

/// Walks from the frame at `start`, inside the given ranges of stack memory
/// alone. Ends at a zero back chain, or at the first frame that does not fit:
/// outside the ranges, unaligned, or not above its callee's.
///
/// # Safety
/// The ranges are memory that stays readable while the walk lasts, and nobody
/// writes to the frames in it.
#[must_use]
pub unsafe fn walk(start: u64, bounds: [(u64, u64); 3]) -> Walk {
    Walk {
        next: start,
        bounds,
    }
}

impl Walk {
    /// Whether `size` bytes at `address` are stack memory.
    fn holds(&self, address: u64, size: usize) -> bool {
        let end = address.checked_add(size as u64);
        address.is_multiple_of(16)
            && end.is_some_and(|end| {
                self.bounds
                    .iter()
                    .any(|&(low, high)| low <= address && end <= high)
            })
    }

    fn same_stack(&self, one: u64, other: u64) -> bool {
        self.bounds
            .iter()
            .any(|&(low, high)| low <= one && one < high && low <= other && other < high)
    }
}

impl Iterator for Walk {
    type Item = Frame<'static>;

    fn next(&mut self) -> Option<Self::Item> {
        let address = self.next;
        if !self.holds(address, size_of::<FrameHeader>()) {
            return None;
        }
        // SAFETY: inside the bounds and aligned; `walk`'s caller promises that
        // this is readable and does not change.
        let header = unsafe { *(address as *const FrameHeader) };
        let caller = header.back_chain;
        // Chains lead upwards, except from the fallback stack back to another.
        self.next = if caller > address || !self.same_stack(caller, address) {
            caller
        } else {
            0
        };

        if self.holds(address, size_of::<TrapFrame>()) {
            // SAFETY: as above, for the whole trap frame.
            let trap = unsafe { &*(address as *const TrapFrame) };
            if trap.marker == TRAP_MARKER {
                return Some(Frame {
                    address,
                    code: trap.nip,
                    trap: Some(trap),
                });
            }
        }
        if !self.holds(caller, size_of::<FrameHeader>()) {
            return None;
        }
        // SAFETY: as above, for the caller's header, where a callee saves LR.
        let code = unsafe { (*(caller as *const FrameHeader)).lr_save };
        Some(Frame {
            address: caller,
            code,
            trap: None,
        })
    }
}
