//! Moves to another stack.

use core::arch::global_asm;
use layout::FrameHeader;

/// A stack: memory from `bottom` to `top`, growing down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stack {
    bottom: u64,
    top: u64,
}

impl Stack {
    /// # Safety
    /// The memory from `bottom` to `top` is used for nothing else, for good.
    /// Both ends are multiples of 16.
    #[must_use]
    #[inline]
    pub const unsafe fn new(bottom: u64, top: u64) -> Self {
        Self { bottom, top }
    }

    /// Lowest address.
    #[must_use]
    #[inline]
    pub const fn bottom(&self) -> u64 {
        self.bottom
    }

    /// Address behind the highest.
    #[must_use]
    #[inline]
    pub const fn top(&self) -> u64 {
        self.top
    }
}

unsafe extern "C" {
    fn call_on_stack_top(top: u64, function: extern "C" fn() -> !) -> !;
}

/// Leaves the running stack behind for good, and calls `function` on `stack`.
///
/// # Safety
/// Nothing is on `stack` yet, and this CPU's `stack_floor` and `stack_top` are
/// those of `stack`, so that interrupts accept its r1; interrupts are off.
pub unsafe fn call_on_stack(stack: &Stack, function: extern "C" fn() -> !) -> ! {
    // SAFETY: the stack is memory of its own, says `Stack::new`, and the caller
    // vouches for the rest.
    unsafe { call_on_stack_top(stack.top, function) }
}

// call_on_stack_top(top, function)
//
// On entry: r3 = top of a stack, 16-byte aligned; r4 = a function's global entry.
// On exit: never returns. The function runs with a frame that has a zero back chain,
// which ends every stack walk.
// Stack: one frame header on the new stack.
global_asm!(
    ".globl call_on_stack_top",
    ".type call_on_stack_top, @function",
    ".balign 16",
    "call_on_stack_top:",
    "mr 1, 3",
    "li 0, 0",
    "stdu 0, -{frame}(1)",
    "mr 12, 4",
    "mtctr 12",
    "bctrl",
    "trap",
    ".size call_on_stack_top, . - call_on_stack_top",
    frame = const core::mem::size_of::<FrameHeader>(),
);
