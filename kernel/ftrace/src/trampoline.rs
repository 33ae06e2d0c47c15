//! The trampoline: from a site to the callbacks, and on into the function.
//!
//! It is one routine, written once, at the end of this file, in the order in which it
//! runs. For each set of ops that is attached somewhere, [`Trampoline::new`] copies it into
//! code memory from top to bottom: a step that no ops of the set needs is left out, the call
//! of a callback is there once for each ops, and three words of that call are filled in. The
//! routine is position independent, so a copy runs as it is.

use super::{Flags, Ops};
use alloc::vec::Vec;
use core::{
    arch::global_asm,
    fmt,
    mem::{offset_of, size_of},
};
use layout::{CallFrame, CpuEntry, FrameHeader};
use machine::{
    mm::code::{self, CodeBlock, OutOfCodeMemory},
    symbols,
    text::Unverified,
};
use memmap::Range;
use ppc64::insn::{self, BranchError};

/// Where a label is in the routine: how many words are before it.
macro_rules! place {
    ($label:ident) => {
        machine::code_between!(trampoline_entry, $label).len()
    };
}

/// Why a trampoline could not be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TrampolineError {
    /// No memory for it.
    OutOfCodeMemory(OutOfCodeMemory),
    /// It does not read back as it was written.
    Unverified(Unverified),
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
            Self::OutOfCodeMemory(error) => error.fmt(f),
            Self::Unverified(error) => error.fmt(f),
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
    /// [`TrampolineError`]. On error, nothing is left behind.
    pub fn new(all: &[&'static Ops]) -> Result<Self, TrampolineError> {
        let of_set = all.iter().fold(Flags::empty(), |set, ops| set | ops.flags);
        let (call, exit) = (place!(trampoline_call), place!(trampoline_exit));
        let (ops_high, ops_low) = (place!(trampoline_ops_high), place!(trampoline_ops_low));
        let mut words = Vec::new();
        let mut branches = Vec::new();
        words.extend(words_of(0..call, of_set).map(|(_, word)| word));
        for ops in all {
            let address = below_2_gib(ops)?;
            // Whether there is a guard is each ops's own affair.
            let flags = of_set.difference(Flags::RECURSION_SAFE) | ops.flags;
            for (place, mut word) in words_of(call..exit, flags) {
                if place == ops_high {
                    word |= address >> 16;
                } else if place == ops_low {
                    word |= address & 0xffff;
                } else if place == place!(trampoline_callback) {
                    branches.push((words.len(), ops.callback as usize as u64));
                }
                words.push(word);
            }
        }
        let end = place!(trampoline_end);
        words.extend(words_of(exit..end, of_set).map(|(_, word)| word));
        // `trampoline_diverted` is the last step.
        let diverting = |ops: &&&Ops| ops.flags.contains(Flags::CHANGES_NIP);
        if let Some(ops) = all.iter().find(diverting) {
            words.extend_from_slice((ops.hand_off)());
        }

        let mut block = CodeBlock::new(words.len()).map_err(TrampolineError::OutOfCodeMemory)?;
        block.mark();
        for (index, callback) in branches {
            let from = block.start() + 4 * index as u64;
            let branch = insn::branch(from, local_entry(callback), true);
            words[index] = branch.map_err(TrampolineError::Branch)?;
        }
        // SAFETY: nothing runs in a fresh block before a site branches there.
        unsafe { block.write(&words) }.map_err(TrampolineError::Unverified)?;
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

/// The address of an ops, of which two instructions take a half each.
fn below_2_gib(ops: &'static Ops) -> Result<u32, TrampolineError> {
    let address = core::ptr::from_ref(ops).addr() as u64;
    let low = i32::try_from(address).map(i32::cast_unsigned);
    low.map_err(|_| TrampolineError::FarOps { address })
}

/// The words of a part of the routine, each with its place in it: of the steps that ops with
/// these flags need.
fn words_of(part: core::ops::Range<usize>, flags: Flags) -> impl Iterator<Item = (usize, u32)> {
    let routine = machine::code_between!(trampoline_entry, trampoline_end);
    let steps = machine::code_between!(trampoline_steps, trampoline_steps_end);
    let (steps, _) = steps.as_chunks::<3>();
    let start = |step: &[u32; 3]| step[0] as usize / 4;
    let ends = steps.iter().skip(1).map(start).chain([routine.len()]);
    let is_needed = move |&(&[_, wanted, any], _): &(&[u32; 3], usize)| {
        flags.intersects(Flags::from_bits_retain(any)) == (wanted != 0)
    };
    let needed = steps.iter().zip(ends).filter(is_needed);
    let places = needed.flat_map(move |(step, end)| part.start.max(start(step))..part.end.min(end));
    places.map(|place| (place, routine[place]))
}

/// A kernel function's local entry: the trampoline has loaded the TOC already.
fn local_entry(function: u64) -> u64 {
    let symbol = symbols::table().ok().and_then(|table| table.at(function));
    function + symbol.map_or(0, |(symbol, _)| u64::from(symbol.local_entry))
}

// trampoline_entry: the routine.
//
// On entry, from a site's `bl`: r0 = the return address, to the traced function's
// caller; LR = the instruction behind the site; r1 = the caller's frame; r13 = this CPU's
// CpuEntry; everything else is the caller's. r2 may be any TOC, or none: a leaf without
// TOC set-up has whatever its caller had.
// On exit: the traced function goes on behind its site; or, when a callback has changed
// `nip`, the ops's hand-off goes there. LR and r0 = the return address, as found in the
// caller's frame after the callbacks. r1, r2, r3 to r12, CR and all nonvolatile registers
// are what they were, except for what a callback has changed in the frame.
// Clobbers: r0, CTR.
// Stack: one CallFrame. The return address is saved where the function itself would save
// it, in the caller's frame, so the back chain is whole.
//
// A step begins with one of three lines, and ends where the next does:
//   always      each copy has the step
//   when F      it is there if an ops has one of the flags F
//   unless F    it is there if no ops has one of the flags F
// A branch leads over steps that each copy has, or each copy that has the branch.
global_asm!(
    // Notes a step in a table: its distance from the entry, 1 for `when` and 0 for
    // `unless`, and the flags.
    ".macro step wanted, flags",
    ".pushsection .rodata.trampoline_steps, \"a\"",
    ".long 77f - trampoline_entry, \\wanted, \\flags",
    ".popsection",
    "77:",
    ".endm",
    ".macro when flags",
    "step 1, \\flags",
    ".endm",
    ".macro unless flags",
    "step 0, \\flags",
    ".endm",
    ".macro always",
    "step 0, 0",
    ".endm",
    ".pushsection .rodata.trampoline_steps, \"a\"",
    ".balign 4",
    "trampoline_steps:",
    ".popsection",
    // The compiler may put the code that names these elsewhere.
    ".globl trampoline_steps, trampoline_steps_end",
    ".globl trampoline_entry, trampoline_call, trampoline_exit, trampoline_end",
    ".globl trampoline_ops_high, trampoline_ops_low, trampoline_callback",
    "",
    ".balign 16",
    // r0 = the return address, LR = behind the site, r1 = the caller's frame.
    "trampoline_entry:",
    "always",
    // The return address, where the function itself would save it.
    "std 0, {lr_save}(1)",
    // Opens the CallFrame; its back chain leads to the caller's frame.
    "stdu 1, -{frame}(1)",
    // What callbacks may clobber: r2 to r12, of which they may change r3 to r12, ...
    ".set n, 2",
    ".rept 11",
    "std n, {gpr} + 8 * n(1)",
    ".set n, n + 1",
    ".endr",
    // ... and CR. r12 is free from here to the exit.
    "mfcr 12",
    "stw 12, {cr}(1)",
    // Where the call goes on: r12 = behind the site. LR is free from here on.
    "mflr 12",
    "std 12, {nip}(1)",
    "when {all_registers}|{changes_nip}",
    // The same once more, for `nip` may change.
    "std 12, {site}(1)",
    "when {all_registers}",
    // r0, and the caller's r1.
    "std 0, {gpr}(1)",
    "addi 12, 1, {frame}",
    "std 12, {gpr} + 8 * 1(1)",
    // r13 to r31. Callbacks follow the ABI, so r14 to r31 need no saving for their sake:
    // they are stored to be looked at, and not loaded again.
    ".set n, 13",
    ".rept 19",
    "std n, {gpr} + 8 * n(1)",
    ".set n, n + 1",
    ".endr",
    // So are CTR, XER and MSR.
    "mfctr 12",
    "std 12, {ctr}(1)",
    "mfxer 12",
    "std 12, {xer}(1)",
    "mfmsr 12",
    "std 12, {msr}(1)",
    "",
    // From here to `trampoline_exit` once for each ops, by that ops's own RECURSION_SAFE:
    // callback(r3 = ip, r4 = parent, r5 = ops, r6 = frame).
    //
    // r1 = the CallFrame, r13 = the CpuEntry. r0, r2 to r12, CR, CTR and LR are free.
    "trampoline_call:",
    // r3 = behind the site. An ops before this one may have changed `nip`, if any may.
    "unless {changes_nip}",
    "ld 3, {nip}(1)",
    "when {changes_nip}",
    "ld 3, {site}(1)",
    "unless {recursion_safe}",
    // Not if a guarded callback is running already: this call is its own, or a handler's.
    "ld 12, {tracing}(13)",
    "cmpdi 12, 0",
    "bne trampoline_skipped",
    // One is running now: anything but 0.
    "std 1, {tracing}(13)",
    "always",
    // r2 = the kernel's TOC, which the callback's local entry takes for granted.
    "ld 2, {toc}(13)",
    // r4 = the return address.
    "ld 4, {frame} + {lr_save}(1)",
    // r5 = the ops: the two halves of its address are filled in.
    "trampoline_ops_high:",
    "lis 5, 0",
    "trampoline_ops_low:",
    "ori 5, 5, 0",
    // r6 = the CallFrame.
    "mr 6, 1",
    // Filled in: the callback's local entry.
    "trampoline_callback:",
    "bl .",
    "unless {recursion_safe}",
    // None is running any more.
    "li 3, 0",
    "std 3, {tracing}(13)",
    "trampoline_skipped:",
    "",
    // r1 = the CallFrame. r0, r2 to r12, CR, CTR and LR are free.
    "trampoline_exit:",
    "always",
    // CTR and r0 = where the call goes on.
    "ld 0, {nip}(1)",
    "mtctr 0",
    "when {changes_nip}",
    // CR0 = whether that is still behind the site.
    "ld 12, {site}(1)",
    "cmpd 0, 12",
    "always",
    // r2 to r11, as they were or as a callback wants them.
    ".set n, 2",
    ".rept 10",
    "ld n, {gpr} + 8 * n(1)",
    ".set n, n + 1",
    ".endr",
    // LR and r0 = the return address, which the function behind its site is about to save.
    "ld 0, {frame} + {lr_save}(1)",
    "mtlr 0",
    // r12 = CR as it was, while CR0 is still needed.
    "lwz 12, {cr}(1)",
    "when {changes_nip}",
    "bne trampoline_diverted",
    "always",
    // Into the function, with CR and r12 as they were, in the caller's frame.
    "mtcr 12",
    "ld 12, {gpr} + 8 * 12(1)",
    "addi 1, 1, {frame}",
    "bctr",
    "",
    // CTR = the other function's global entry, LR and r0 = the return address, r12 = CR as
    // it was, r1 = the CallFrame; r2 to r11 are as they were.
    "trampoline_diverted:",
    "when {changes_nip}",
    // CR as it was, in the caller's frame.
    "mtcr 12",
    "addi 1, 1, {frame}",
    // r12 = the global entry, from which it computes its TOC.
    "mfctr 12",
    // r12 and CTR = the global entry, LR and r0 = the return address, r1 = the caller's
    // frame: so the ops's hand-off begins, which is copied in here.
    "trampoline_end:",
    "",
    ".pushsection .rodata.trampoline_steps, \"a\"",
    "trampoline_steps_end:",
    ".popsection",
    ".purgem step",
    ".purgem when",
    ".purgem unless",
    ".purgem always",
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
    all_registers = const Flags::ALL_REGISTERS.bits(),
    changes_nip = const Flags::CHANGES_NIP.bits(),
    recursion_safe = const Flags::RECURSION_SAFE.bits(),
);
