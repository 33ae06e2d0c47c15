//! The one walk: frames as steps. Reports, the check whether a stack can be relied on, and
//! the freeing of code all read stacks through it.

use super::{Step, What, returns::Resolver};
use core::{borrow::BorrowMut, mem};
use machine::{
    arch::{Frame, Walk},
    text,
};
use memmap::Range;

/// Whether an address is in code that leaves a [`CallFrame`](layout::CallFrame) on stacks.
pub type InTrampoline = fn(u64) -> bool;

static IN_TRAMPOLINE: spin::Once<InTrampoline> = spin::Once::new();

/// Sets what knows trampolines. Once.
pub fn set_trampolines(in_trampoline: InTrampoline) {
    IN_TRAMPOLINE.call_once(|| in_trampoline);
}

/// A step, and the frame that it is from.
pub(super) struct Seen<'a> {
    pub step: Step,
    pub frame: Frame<'a>,
    /// The step is a call in the kernel's own code.
    pub is_kernel: bool,
}

/// Whether a return address is kept for the interrupted function was asked.
const ASKED: u64 = 1;

/// The steps on a stack, from the innermost outwards. `R` is a resolver or a reference to
/// one: with a reference, the compiler can keep all the rest in registers.
pub(super) struct Steps<'a, R, const N: usize> {
    frames: Walk<'a, N>,
    returns: R,
    /// Return addresses that stand for real ones, which are kept elsewhere.
    stand_ins: [u64; 2],
    kernel: Range,
    /// Not zero when the next frame is one that an interrupted function had: the address of
    /// its slot, or [`ASKED`].
    interrupted: u64,
}

impl<'a, R: BorrowMut<Resolver<'a>>, const N: usize> Steps<'a, R, N> {
    /// Of the thread that the resolver is for.
    #[inline(always)]
    pub fn new(frames: Walk<'a, N>, returns: R) -> Self {
        Self {
            frames,
            stand_ins: returns.borrow().stand_ins(),
            returns,
            kernel: text::kernel_text(),
            interrupted: 0,
        }
    }

    /// The function that the innermost frame belongs to was interrupted; its frame's slot
    /// is at `slot`.
    pub fn interrupted(mut self, slot: u64) -> Self {
        self.interrupted = slot;
        self
    }

    /// Shows the next step, if there is one. A plain call in the kernel is shown in a place
    /// of its own, so that where this is inlined nothing is asked of it twice: a
    /// transition looks at every frame of every thread, and most are that.
    #[inline(always)]
    pub fn show<T>(&mut self, see: impl FnOnce(Seen<'a>) -> T) -> Option<T> {
        let mut stale = false;
        if self.interrupted != 0 {
            if let Some(seen) = self.kept_by_interrupted() {
                return Some(see(seen));
            }
            self.interrupted = 0;
            stale = true;
        }
        let frame = self.frames.next()?;
        let code = frame.code;
        let is_plain = frame.trap.is_none() && !stale && self.is_kernel(code);
        if is_plain && self.stand_ins.iter().all(|&one| one != code) {
            let what = What::Call;
            let step = Step { code, what };
            return Some(see(Seen {
                step,
                frame,
                is_kernel: true,
            }));
        }
        let step = if let Some(trap) = frame.trap {
            self.interrupted = frame.slot.max(ASKED);
            let what = What::Interrupted(trap.vector);
            Step { code, what }
        } else {
            other(self.frames.clone(), self.returns.borrow_mut(), frame, stale)
        };
        Some(see(Seen {
            step,
            frame,
            is_kernel: self.is_kernel(step.code),
        }))
    }

    /// Where an interrupted function returns to, if that is kept elsewhere: it need not
    /// have saved LR.
    #[inline(always)] // or `self` would have to be in memory
    fn kept_by_interrupted(&mut self) -> Option<Seen<'a>> {
        let slot = mem::replace(&mut self.interrupted, ASKED);
        let (code, what) = self.returns.borrow_mut().at(slot)?;
        let frame = Frame {
            address: 0,
            code,
            slot,
            lr_save: code,
            trap: None,
        };
        Some(Seen {
            step: Step { code, what },
            frame,
            is_kernel: self.is_kernel(code),
        })
    }

    #[inline(always)]
    fn is_kernel(&self, code: u64) -> bool {
        let call = code.wrapping_sub(4);
        self.kernel.start <= call && call < self.kernel.end
    }
}

/// What is not plainly a call in the kernel. Gets the walk and the frame by value, or the loop
/// would keep both in memory.
#[cold]
#[inline(never)]
fn other<'a, const N: usize>(
    frames: Walk<'a, N>,
    returns: &mut Resolver<'a>,
    frame: Frame<'a>,
    stale: bool,
) -> Step {
    let code = frame.code;
    let plain = if stale {
        What::PerhapsStale
    } else {
        What::Call
    };
    if returns.stand_ins().contains(&code) {
        let lost = if stale { plain } else { What::Lost };
        let (code, what) = returns.resolve(frame.slot, code).unwrap_or((code, lost));
        return Step { code, what };
    }
    if IN_TRAMPOLINE.get().is_some_and(|is_in| is_in(code))
        && let Some(call) = frames.call_frame(&frame)
    {
        return Step {
            code: call.nip,
            what: What::Traced,
        };
    }
    Step { code, what: plain }
}

impl<'a, R: BorrowMut<Resolver<'a>>, const N: usize> Iterator for Steps<'a, R, N> {
    type Item = Seen<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.show(|seen| seen)
    }
}
