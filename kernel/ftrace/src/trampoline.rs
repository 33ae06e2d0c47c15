//! The trampoline: from a site to the callbacks, and on into the function.
//!
//! It is written once, below, in pieces. For each set of ops that is attached
//! somewhere, the pieces are copied into code memory one behind the other: an
//! entry, a call for each ops with the callback's and the ops's addresses filled
//! in, and an exit. A piece is position independent, so a copy runs as it is.

use super::{Flags, Ops};
use alloc::vec::Vec;
use core::{
    arch::global_asm,
    fmt,
    mem::{offset_of, size_of},
};
use layout::{CallFrame, CpuEntry, FrameHeader};
use machine::{
    mm::code::{self, CodeBlock, NoCodeMemory},
    symbols,
    text::{self, Change, TextError},
};
use memmap::Range;
use ppc64::insn::{self, BranchError};

/// Why a trampoline could not be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TrampolineError {
    /// No memory for it.
    NoCodeMemory(NoCodeMemory),
    /// It could not be written.
    Text(TextError),
    /// A callback is out of reach.
    Branch(BranchError),
    /// An ops lies above 2 GiB, which its two instructions can't name.
    FarOps {
        /// Where it lies.
        address: u64,
    },
}

impl fmt::Display for TrampolineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCodeMemory(error) => error.fmt(f),
            Self::Text(error) => error.fmt(f),
            Self::Branch(error) => error.fmt(f),
            Self::FarOps { address } => {
                write!(f, "the ops at {address:#x} does not lie below 2 GiB")
            }
        }
    }
}

/// A trampoline for a set of ops.
#[derive(Debug)]
pub struct Trampoline {
    block: CodeBlock,
}

impl Trampoline {
    /// Makes a trampoline that calls each of `all`, in order.
    ///
    /// # Errors
    /// [`TrampolineError`]; nothing is left behind then.
    pub fn new(all: &[&'static Ops]) -> Result<Self, TrampolineError> {
        let any = |flag| all.iter().any(|ops| ops.flags.contains(flag));
        let mut words = Vec::new();
        words.extend_from_slice(machine::code_between!(
            trampoline_entry,
            trampoline_entry_end
        ));
        if any(Flags::ALL_REGISTERS) {
            words.extend_from_slice(machine::code_between!(trampoline_more, trampoline_more_end));
        }
        let diverting = all
            .iter()
            .find(|ops| ops.flags.contains(Flags::CHANGES_NIP));
        if diverting.is_some() {
            words.extend_from_slice(machine::code_between!(trampoline_site, trampoline_site_end));
        }
        let mut branches = Vec::new();
        for ops in all {
            let guarded = !ops.flags.contains(Flags::RECURSION_SAFE);
            if guarded {
                words.extend_from_slice(machine::code_between!(
                    trampoline_guard,
                    trampoline_guard_end
                ));
            }
            // An ops before this one may have changed `nip`.
            words.extend_from_slice(if diverting.is_some() {
                machine::code_between!(trampoline_ip_of_site, trampoline_ip_of_site_end)
            } else {
                machine::code_between!(trampoline_ip, trampoline_ip_end)
            });
            let start = words.len();
            words.extend_from_slice(machine::code_between!(trampoline_call, trampoline_call_end));
            fill_in_ops(&mut words[start..], ops)?;
            branches.push((words.len() - 1, ops.callback as usize as u64));
            if guarded {
                words.extend_from_slice(machine::code_between!(
                    trampoline_unguard,
                    trampoline_unguard_end
                ));
            }
        }
        let exit = machine::code_between!(trampoline_exit, trampoline_exit_end);
        if let Some(ops) = diverting {
            words.extend_from_slice(machine::code_between!(
                trampoline_divert,
                trampoline_divert_end
            ));
            let branch = words.len() - 1;
            words.extend_from_slice(exit);
            words.push(insn::mfctr(12));
            words.extend_from_slice((ops.hand_off)());
            // Over all that, for a call that stays.
            words[branch] = insn::beq(4 * (words.len() - branch) as i16);
        }
        words.extend_from_slice(exit);
        words.push(insn::bctr());

        let mut block = CodeBlock::new(words.len()).map_err(TrampolineError::NoCodeMemory)?;
        block.mark();
        for (index, callback) in branches {
            let from = block.start() + 4 * index as u64;
            let branch = insn::branch(from, local_entry(callback), true);
            words[index] = branch.map_err(TrampolineError::Branch)?;
        }
        let changes: Vec<Change> = (words.iter().enumerate())
            .map(|(index, &new)| Change {
                address: block.start() + 4 * index as u64,
                expected: insn::TRAP,
                new,
            })
            .collect();
        // SAFETY: nothing runs in a fresh block before a site branches there.
        unsafe { text::apply(&changes) }.map_err(TrampolineError::Text)?;
        Ok(Self { block })
    }

    /// Where a site's `bl` goes.
    #[must_use]
    pub fn entry(&self) -> u64 {
        self.block.start()
    }

    /// The memory that it lies in.
    #[must_use]
    pub fn into_block(self) -> CodeBlock {
        self.block
    }

    /// The trampoline's code.
    #[must_use]
    pub fn range(&self) -> Range {
        self.block.range()
    }
}

/// Whether an address is in a trampoline, or in one that is [retired](super::retired) and
/// still there. Takes no lock: a stack walk asks.
#[must_use]
#[inline]
pub fn in_trampoline(address: u64) -> bool {
    code::is_marked(address)
}

/// Puts an ops's address into the two words of a call piece that are there for it.
fn fill_in_ops(call: &mut [u32], ops: &'static Ops) -> Result<(), TrampolineError> {
    let address = core::ptr::from_ref(ops).addr() as u64;
    if address > i32::MAX as u64 {
        return Err(TrampolineError::FarOps { address });
    }
    let high = machine::code_between!(trampoline_call, trampoline_call_ops_high).len();
    let low = machine::code_between!(trampoline_call, trampoline_call_ops_low).len();
    call[high] = insn::lis(5, (address >> 16) as u16);
    call[low] = insn::ori(5, 5, address as u16);
    Ok(())
}

/// A kernel function's local entry: the trampoline has loaded the TOC already.
fn local_entry(function: u64) -> u64 {
    let symbol = symbols::table().ok().and_then(|table| table.at(function));
    function + symbol.map_or(0, |(symbol, _)| u64::from(symbol.local_entry))
}

// The pieces. Together they are one routine:
//
// On entry, from a site's `bl`: r0 = LR of the traced function's caller, LR = the
// instruction behind the site, r1 = the caller's frame, everything else is the
// caller's. r2 may be any TOC, or none: a leaf without TOC set-up has whatever its
// caller had. r13 = this CPU's CpuEntry.
// On exit: the traced function goes on behind its site, or, when a callback has
// changed `nip`, the ops's hand-off enters the function at `nip`. LR = the caller's return address, as found in the caller's frame
// after the callbacks. r1, r2, r3 to r12, CR and all nonvolatile registers are
// what they were, except for what a callback has changed in the frame.
// Clobbers: r0, CTR.
// Stack: one CallFrame. The caller's return address is saved where the function
// itself would save it, in the caller's frame, so the back chain is whole.
//
// Callbacks follow the ABI, so r14 to r31 need no saving for their sake: the
// "all" piece stores them so that they can be looked at.
global_asm!(
    ".balign 16",
    // The compiler may put the code that names these elsewhere.
    ".globl trampoline_entry, trampoline_entry_end",
    ".globl trampoline_more, trampoline_more_end",
    ".globl trampoline_site, trampoline_site_end",
    ".globl trampoline_guard, trampoline_guard_end",
    ".globl trampoline_ip, trampoline_ip_end",
    ".globl trampoline_ip_of_site, trampoline_ip_of_site_end",
    ".globl trampoline_call, trampoline_call_end",
    ".globl trampoline_call_ops_high, trampoline_call_ops_low",
    ".globl trampoline_unguard, trampoline_unguard_end",
    ".globl trampoline_exit, trampoline_exit_end",
    ".globl trampoline_divert, trampoline_divert_end",
    "trampoline_entry:",
    "std 0, {lr_save}(1)",
    "stdu 1, -{frame}(1)",
    ".set n, 2",
    ".rept 11",
    "std n, {gpr} + 8 * n(1)",
    ".set n, n + 1",
    ".endr",
    "mfcr 12",
    "stw 12, {cr}(1)",
    "mflr 12",
    "std 12, {nip}(1)",
    "trampoline_entry_end:",

    // What the plain entry does not store.
    "trampoline_more:",
    "std 0, {gpr}(1)",
    "addi 12, 1, {frame}",
    "std 12, {gpr} + 8 * 1(1)",
    ".set n, 13",
    ".rept 19",
    "std n, {gpr} + 8 * n(1)",
    ".set n, n + 1",
    ".endr",
    "mfctr 12",
    "std 12, {ctr}(1)",
    "mfxer 12",
    "std 12, {xer}(1)",
    "mfmsr 12",
    "std 12, {msr}(1)",
    "mflr 12",
    "std 12, {site}(1)",
    "trampoline_more_end:",

    // What `nip` was, to see whether it has changed.
    "trampoline_site:",
    "mflr 12",
    "std 12, {site}(1)",
    "trampoline_site_end:",

    // In place of `trampoline_ip`, which is as long, where `nip` may change.
    "trampoline_ip_of_site:",
    "ld 3, {site}(1)",
    "trampoline_ip_of_site_end:",

    // Skips the call behind it if a guarded callback is running already. Guard,
    // ip, call and unguard are copied one behind the other, as they stand here.
    "trampoline_guard:",
    "ld 12, {tracing}(13)",
    "cmpdi 12, 0",
    "bne trampoline_unguard_end",
    "std 1, {tracing}(13)",
    "trampoline_guard_end:",

    // callback(ip, parent, ops, frame): the first argument.
    "trampoline_ip:",
    "ld 3, {nip}(1)",
    "trampoline_ip_end:",

    // The others, and the call: three words are filled in, the ops's address and the
    // `bl` at the end.
    "trampoline_call:",
    "ld 2, {toc}(13)",
    "ld 4, {frame} + {lr_save}(1)",
    "trampoline_call_ops_high:",
    "trap", // lis 5, ops@h
    "trampoline_call_ops_low:",
    "trap", // ori 5, 5, ops@l
    "mr 6, 1",
    "trap", // bl callback
    "trampoline_call_end:",

    "trampoline_unguard:",
    "li 3, 0",
    "std 3, {tracing}(13)",
    "trampoline_unguard_end:",

    // In front of an exit and the hand-off, for a call that may go elsewhere. Its
    // last word becomes the branch over them.
    "trampoline_divert:",
    "ld 0, {nip}(1)",
    "ld 12, {site}(1)",
    "cmpd 0, 12",
    "trap",
    "trampoline_divert_end:",

    // Everything as it was, CTR = where to go on. r0 = LR, which the function
    // behind its site is about to save.
    "trampoline_exit:",
    "ld 0, {nip}(1)",
    "mtctr 0",
    "lwz 0, {cr}(1)",
    "mtcr 0",
    ".set n, 2",
    ".rept 11",
    "ld n, {gpr} + 8 * n(1)",
    ".set n, n + 1",
    ".endr",
    "ld 0, {frame} + {lr_save}(1)",
    "mtlr 0",
    "addi 1, 1, {frame}",
    "trampoline_exit_end:",

    frame = const size_of::<CallFrame>(),
    lr_save = const offset_of!(FrameHeader, lr_save),
    gpr = const offset_of!(CallFrame, gpr),
    nip = const offset_of!(CallFrame, nip),
    site = const offset_of!(CallFrame, site),
    msr = const offset_of!(CallFrame, msr),
    ctr = const offset_of!(CallFrame, ctr),
    xer = const offset_of!(CallFrame, xer),
    cr = const offset_of!(CallFrame, cr),
    tracing = const offset_of!(CpuEntry, tracing),
    toc = const offset_of!(CpuEntry, toc),
);
