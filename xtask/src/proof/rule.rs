//! What a replacement function must keep, and where it does not.

use klp::MOST_FRAME;
use std::fmt;

/// What is wrong with an instruction.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Rule {
    /// Returns, or calls, without a frame of its own on some path.
    NoFrame,
    /// Returns without having saved LR in the caller's frame on some path.
    LrNotSaved,
    /// Returns without having passed the whole restore on some path.
    NotRestored,
    /// Starts the restore again.
    RestoredTwice,
    /// Writes r2, and is not the right instruction of the restore.
    BadRestore,
    /// Starts the restore with r0 as the base, which means the number 0.
    ZeroBase,
    /// Has not the restore of the mail as posted, in a module that is to have it.
    NotAsPosted,
    /// Writes r2, in a module that keeps the kernel's TOC in it.
    ChangesToc,
    /// Reads or writes r2 after the restore, or in the middle of it.
    R2AfterRestore,
    /// Calls after the restore, or in the middle of it.
    CallAfterRestore,
    /// Calls a replacement function of the module past the hand-off.
    CallsReplacement,
    /// Calls the kernel directly, in a module that has another TOC.
    NoStub,
    /// Branches out of the function without coming back.
    TailCall,
    /// Branches to an address in a register.
    ComputedJump,
    /// Writes 12(r1) of the caller's frame.
    WritesReserved,
    /// Writes another word of the caller's frame that it must not.
    WritesCallersFrame,
    /// Overwrites its own back chain.
    WritesBackChain,
    /// Changes r1 in a way that is not understood.
    StackPointer,
    /// Returns with another r1 than it was called with.
    Unbalanced,
    /// Returns to somewhere else than LR was on entry.
    WrongLr,
    /// Opens more stack than a function of a module may have.
    FrameTooLarge {
        /// How much, together with what instructions before it open.
        bytes: u64,
    },
    /// Changes r1 by an unknown amount.
    UnknownFrame,
    /// Runs off the function's end.
    RunsOff,
    /// Is not known to the proof.
    Unknown,
}

impl Rule {
    /// All of them, with no bytes.
    pub const ALL: [Rule; 24] = [
        Self::NoFrame,
        Self::LrNotSaved,
        Self::NotRestored,
        Self::RestoredTwice,
        Self::BadRestore,
        Self::ZeroBase,
        Self::NotAsPosted,
        Self::ChangesToc,
        Self::R2AfterRestore,
        Self::CallAfterRestore,
        Self::CallsReplacement,
        Self::NoStub,
        Self::TailCall,
        Self::ComputedJump,
        Self::WritesReserved,
        Self::WritesCallersFrame,
        Self::WritesBackChain,
        Self::StackPointer,
        Self::Unbalanced,
        Self::WrongLr,
        Self::FrameTooLarge { bytes: 0 },
        Self::UnknownFrame,
        Self::RunsOff,
        Self::Unknown,
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NoFrame => "no frame is open, or none was opened on the way here",
            Self::LrNotSaved => "LR was not saved at 16 of the caller's frame on every way here",
            Self::NotRestored => "r2 was not restored on every way to this return",
            Self::RestoredTwice => "r2 is restored a second time",
            Self::BadRestore => {
                "writes r2 with something else than the word at 12 of the caller's frame, \
                 or that plus the LR saved at 16 while the frame is open, or plus LR when it is closed"
            }
            Self::ZeroBase => {
                "restores r2 from address 12: as a base register, r0 means the number 0"
            }
            Self::NotAsPosted => "does not restore r2 as the mail has it, with r0 as the base",
            Self::ChangesToc => {
                "writes r2, which holds the kernel's TOC pointer in all of this module's code"
            }
            Self::R2AfterRestore => "touches r2 after the restore has begun",
            Self::CallAfterRestore => "calls after the restore has begun",
            Self::CallsReplacement => {
                "calls a replacement past the hand-off, which chooses the version and leaves it \
                 the way to r2: call the function that it replaces"
            }
            Self::NoStub => {
                "calls the kernel without a stub, which sets r12 and saves r2: the kernel's code has another TOC"
            }
            Self::TailCall => "leaves the function by a branch",
            Self::ComputedJump => "branches to where a register says: a jump table or a tail call",
            Self::WritesReserved => "may write 12(r1) of the caller's frame",
            Self::WritesCallersFrame => "may write into the header of the caller's frame",
            Self::WritesBackChain => "writes over the back chain",
            Self::StackPointer => "changes r1 in a way that is not understood",
            Self::Unbalanced => "returns with another r1 than the caller's",
            Self::WrongLr => "returns to another address than the caller's",
            Self::FrameTooLarge { bytes } => {
                return write!(
                    f,
                    "opens a frame of {bytes} bytes, and a module's function may have {MOST_FRAME}"
                );
            }
            Self::UnknownFrame => "changes r1 by an amount that is not known",
            Self::RunsOff => "runs off the end of the function",
            Self::Unknown => "is not known to the proof",
        };
        f.write_str(text)
    }
}

/// An instruction that breaks a rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// The function's name, readable.
    pub function: String,
    /// The section that it is in.
    pub section: String,
    /// Offset of the instruction in the section.
    pub address: u64,
    /// Offset of the instruction in the function.
    pub offset: u64,
    /// The instruction.
    pub instruction: String,
    /// What it breaks.
    pub rule: Rule,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            function,
            section,
            address,
            offset,
            instruction,
            rule,
        } = self;
        write!(
            f,
            "{function}+{offset:#x} ({section}+{address:#x}): `{instruction}`: {rule}"
        )
    }
}
