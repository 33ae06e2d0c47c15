//! Walks a stack along the back chain (ELFv2 2.2.2.1).

use core::{marker::PhantomData, mem::offset_of};
use layout::{CallFrame, FrameHeader, TrapFrame};

/// One step of a walk.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Address of the frame.
    pub address: u64,
    /// Where its function goes on: the return address that the callee saved in
    /// it, or the interrupted instruction.
    pub code: u64,
    /// Address of the LR save doubleword that `code` is from (ELFv2 2.2.2.1); where an
    /// interrupt has put its state, of the one in the frame that the interrupted
    /// function had, or 0 if there is none.
    pub slot: u64,
    /// What is in it.
    pub lr_save: u64,
    /// Set where an interrupt has put its state on the stack.
    pub trap: Option<&'a TrapFrame>,
}

/// Size of a frame's header, in bytes.
const HEADER: u64 = size_of::<FrameHeader>() as u64;

/// An iterator over frames, from the innermost out, on one of `N` pieces of stack memory
/// or from one to the other.
#[derive(Clone, Debug)]
pub struct Walk<'a, const N: usize> {
    /// A frame's header is there, or it is 0: the walk has ended.
    next: u64,
    /// Where the lowest and the highest header of each piece may lie.
    bounds: [(u64, u64); N],
    stacks: PhantomData<&'a TrapFrame>,
}

/// Walks from the frame at `start`, inside the given ranges of stack memory
/// alone. Ends at a zero back chain, or at the first frame that does not fit:
/// outside the ranges, unaligned, or not above its callee's.
///
/// # Safety
/// The ranges are memory that stays readable for `'a`, and the frames in it stay as they
/// are.
#[must_use]
#[inline]
pub unsafe fn walk<'a, const N: usize>(start: u64, mut bounds: [(u64, u64); N]) -> Walk<'a, N> {
    for (_, highest) in &mut bounds {
        // In a piece too small for a header this is below the lowest, or 0, where no frame
        // lies. (`map` would be a call for each thread.)
        *highest = highest.saturating_sub(HEADER);
    }
    let mut walk = Walk {
        next: 0,
        bounds,
        stacks: PhantomData,
    };
    walk.go_on_at(start);
    walk
}

impl<'a, const N: usize> Walk<'a, N> {
    /// The frame of the ftrace trampoline that `frame.code` lies in, if one fits there.
    #[must_use]
    pub fn call_frame(&self, frame: &Frame<'a>) -> Option<&'a CallFrame> {
        let fits = self.holds(frame.address, size_of::<CallFrame>());
        // SAFETY: inside the bounds and aligned, and what `walk`'s caller promises of
        // them. Any bits are a `CallFrame`.
        fits.then(|| unsafe { &*(frame.address as *const CallFrame) })
    }

    /// Whether a frame of `size` bytes at `address`, a header or more, is stack memory.
    #[inline]
    fn holds(&self, address: u64, size: usize) -> bool {
        address.is_multiple_of(16)
            && self.bounds.iter().any(|&(lowest, highest)| {
                lowest <= address && address <= highest && highest - address >= size as u64 - HEADER
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
        self.bounds.iter().any(|&(lowest, highest)| {
            let is_in = |address| lowest <= address && address <= highest;
            is_in(one) && is_in(other)
        })
    }
}

impl<'a, const N: usize> Iterator for Walk<'a, N> {
    type Item = Frame<'a>;

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
        let slot = caller.wrapping_add(offset_of!(FrameHeader, lr_save) as u64);
        // A smaller frame is none that an interrupt has made.
        let is_large = caller.wrapping_sub(address) >= size_of::<TrapFrame>() as u64;
        if is_large && self.holds(address, size_of::<TrapFrame>()) {
            // SAFETY: as above, for the whole trap frame.
            let trap = unsafe { &*(address as *const TrapFrame) };
            if trap.is_marked(address) {
                let (slot, lr_save) = match self.next {
                    0 => (0, 0),
                    _ => (slot, lr_save()),
                };
                return Some(Frame {
                    address,
                    code: trap.nip,
                    slot,
                    lr_save,
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
            slot,
            lr_save: code,
            trap: None,
        })
    }
}
