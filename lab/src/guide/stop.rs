//! What is written down at an instruction, and which part of the way it is in.

use layout::{CallFrame, FrameHeader, TrapFrame};
use machine::text;
use ppc64::opcode;

/// A part of the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// A, the caller: its call.
    Caller,
    /// The two words at B's local entry.
    Site,
    /// What the site leads to when nothing moves.
    Stub,
    /// What it leads to otherwise.
    Trampoline,
    /// What the trampoline calls.
    Callback,
    /// The variant's way from there to C.
    HandOff,
    /// B, the old function, behind its site.
    Function,
    /// C, the new function.
    Replacement,
    /// What B or C calls.
    Callee,
    /// What gives A its r2 back.
    Convention,
    /// A, behind its call.
    Home,
}

impl Part {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Site => "site",
            Self::Stub => "stub",
            Self::Trampoline => "trampoline",
            Self::Callback => "callback",
            Self::HandOff => "hand-off",
            Self::Function => "function",
            Self::Replacement => "replacement",
            Self::Callee => "callee",
            Self::Convention => "return convention",
            Self::Home => "home",
        }
    }

    /// Whether it stands for many instructions.
    pub const fn is_folded(self) -> bool {
        matches!(self, Self::Callback | Self::Callee)
    }
}

/// Registers, and the caller's save area.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    pub gpr: [u64; 32],
    pub lr: u64,
    pub ctr: u64,
    pub xer: u64,
    pub cr: u64,
    /// The header of A's frame.
    pub header: FrameHeader,
    /// Where the call goes on, as the trampoline's frame has it while it is open.
    pub nip: Option<u64>,
}

/// An instruction that is about to be executed, or the first of many.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    pub part: Part,
    pub address: u64,
    pub word: u32,
    /// The word behind it, if it is a prefix (ISA Book I, 1.6.3).
    pub suffix: u32,
    /// How many it stands for.
    pub count: u32,
    /// Before it.
    pub state: State,
}

impl Stop {
    /// What an interrupt at this instruction has found; `a` is A's frame.
    ///
    /// # Safety
    /// A's frame is still there. In the trampoline, what has been opened below it is a
    /// [`CallFrame`].
    pub unsafe fn new(frame: &TrapFrame, a: u64, part: Part, count: u32) -> Self {
        // SAFETY: as the caller promises.
        let header = unsafe { (a as *const FrameHeader).read_volatile() };
        let is_open = a.wrapping_sub(frame.gpr[1]) == size_of::<CallFrame>() as u64
            && matches!(part, Part::Trampoline | Part::Callback);
        let nip = is_open.then(|| {
            let frame = frame.gpr[1] as *const CallFrame;
            // SAFETY: it is the trampoline that has opened a frame of this size.
            unsafe { (&raw const (*frame).nip).read_volatile() }
        });
        let word = text::read(frame.nip);
        let suffix = if opcode::primary(word) == opcode::PREFIX {
            text::read(frame.nip + 4)
        } else {
            0
        };
        Self {
            part,
            address: frame.nip,
            word,
            suffix,
            count,
            state: State {
                gpr: frame.gpr,
                lr: frame.lr,
                ctr: frame.ctr,
                xer: frame.xer,
                cr: frame.cr,
                header,
                nip,
            },
        }
    }
}
