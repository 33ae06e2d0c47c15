//! The structs that assembly code and Rust share.
//!
//! Every offset that an assembly file uses is computed from these, for `.S`
//! files through the header that [`assembly_header`] writes at build time.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "header"))]
extern crate std;

use core::{
    mem::{offset_of, size_of},
    sync::atomic::AtomicU64,
};

#[cfg(any(test, feature = "header"))]
mod header;
#[cfg(any(test, feature = "header"))]
pub use header::assembly_header;

/// Bytes below r1 that a function may use without opening a frame, so that an
/// interrupt must step over them (ELFv2 1.9, 2.2.2.4).
pub const RED_ZONE: usize = 288;

/// What a stack must still have below r1 when an interrupt arrives: the zone,
/// the trap frame, and room for the handler's own frames.
pub const INTERRUPT_ROOM: usize = 8192;

/// What a stack walk knows a [`TrapFrame`] by: its marker is this, with the frame's own
/// address added without carry. In memory order, the letters `KLPTRAP`, then a zero.
///
/// By itself it would not do: code that compares with it may keep it on its stack, and
/// once a compiler did so in the very place where the marker is.
pub const TRAP_MARKER: u64 = u64::from_le_bytes(*b"KLPTRAP\0");

/// The fixed part of every stack frame (ELFv2 1.9, 2.2.2.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct FrameHeader {
    /// Address of the caller's frame; zero ends the chain.
    pub back_chain: u64,
    /// Where a callee saves the condition register.
    pub cr_save: u32,
    /// Reserved by the ABI. The 2016 mail keeps TOC minus LR in it.
    pub reserved: u32,
    /// Where a callee saves its return address.
    pub lr_save: u64,
    /// Where a caller saves its TOC pointer across a call.
    pub toc_save: u64,
}

/// The state of what an interrupt has interrupted. Lies on its stack, is a
/// stack frame itself, and must keep 16-byte alignment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct TrapFrame {
    /// Makes this a frame: the back chain leads to the interrupted one.
    pub header: FrameHeader,
    /// [`TRAP_MARKER`], with the frame's address added without carry.
    pub marker: u64,
    /// Address of the vector that was taken.
    pub vector: u64,
    /// r0 to r31.
    pub gpr: [u64; 32],
    /// Address of the instruction to go on with (SRR0).
    pub nip: u64,
    /// Machine state to go on in (SRR1).
    pub msr: u64,
    /// Count register.
    pub ctr: u64,
    /// Link register.
    pub lr: u64,
    /// Fixed-point exception register.
    pub xer: u64,
    /// Condition register, in the low word.
    pub cr: u64,
    /// Data address register.
    pub dar: u64,
    /// Data storage interrupt status register, in the low word.
    pub dsisr: u64,
}

impl TrapFrame {
    /// Whether an interrupt has made this frame, which lies at `address`.
    #[inline]
    #[must_use]
    pub const fn is_marked(&self, address: u64) -> bool {
        self.marker ^ address == TRAP_MARKER
    }
}

const _: () = assert!(size_of::<FrameHeader>() == 32);
const _: () = assert!(size_of::<TrapFrame>().is_multiple_of(16));
const _: () = assert!(INTERRUPT_ROOM > 4096 + RED_ZONE + size_of::<TrapFrame>());

/// What interrupt entry needs to know of a CPU before it has a stack or a TOC.
/// First part of the kernel's per-CPU data, so r13 and SPRG1 point at it. The
/// fields are atomic because an interrupt reads them in mid-code.
#[derive(Debug, Default)]
#[repr(C)]
pub struct CpuEntry {
    /// Where interrupt entry parks r9 to r12 until it has a stack.
    pub scratch: [AtomicU64; 4],
    /// The kernel's TOC pointer: r2 may hold anything when an interrupt comes.
    pub toc: AtomicU64,
    /// Address of the handler, `extern "C" fn(&mut TrapFrame)`.
    pub handler: AtomicU64,
    /// Lowest r1 of the running stack at which an interrupt still fits:
    /// [`INTERRUPT_ROOM`] above its lowest address.
    pub stack_floor: AtomicU64,
    /// Highest r1 of the running stack.
    pub stack_top: AtomicU64,
    /// Top of the stack to use when r1 is not between the two.
    pub fallback_stack: AtomicU64,
    /// Not zero while a guarded ftrace callback runs: calls of traced functions
    /// are then not recorded.
    pub tracing: AtomicU64,
    /// The end of the topmost entry of the running thread's livepatch stack, which grows upwards: the
    /// hand-off `livepatch-stack` pushes there.
    pub livepatch_stack: AtomicU64,
}

/// What the ftrace trampoline saves of a traced call: what a callback may see.
/// A stack frame itself, so it keeps 16-byte alignment.
///
/// Unless an ops asks for all registers, r0, r1, r13 to r31, `msr`, `ctr` and `xer` are
/// left unset, and so is `site` unless one may change `nip`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct CallFrame {
    /// Makes this a frame: the back chain leads to the caller's.
    pub header: FrameHeader,
    /// r0 to r31, of which a callback may change r3 to r12.
    pub gpr: [u64; 32],
    /// Where the call goes on. A callback may change it, if its ops says so.
    pub nip: u64,
    /// The instruction behind the site: what `nip` was.
    pub site: u64,
    /// Machine state.
    pub msr: u64,
    /// Count register. The trampoline does not restore it.
    pub ctr: u64,
    /// Fixed-point exception register.
    pub xer: u64,
    /// Condition register.
    pub cr: u32,
}

const _: () = assert!(size_of::<CallFrame>().is_multiple_of(16));

/// Offset of a general register in [`TrapFrame`].
#[must_use]
pub const fn gpr_offset(register: usize) -> usize {
    offset_of!(TrapFrame, gpr) + register * size_of::<u64>()
}
