//! Special-purpose register numbers (ISA Book III, 5.4.4).

/// Data storage interrupt status.
pub const DSISR: u32 = 18;
/// Data address of the last storage interrupt.
pub const DAR: u32 = 19;
/// Decrementer.
pub const DEC: u32 = 22;
/// Address to return to from an interrupt.
pub const SRR0: u32 = 26;
/// Machine state to return to from an interrupt.
pub const SRR1: u32 = 27;
/// Process identification: which tree translates addresses below the kernel's half.
pub const PID: u32 = 48;
/// Facility status and control: which facilities may be used.
pub const FSCR: u32 = 153;
/// Software's own: the kernel keeps the per-CPU pointer here.
pub const SPRG1: u32 = 273;
/// Software's own: holds r13 for the first instructions of an interrupt.
pub const SPRG2: u32 = 274;
/// Processor version.
pub const PVR: u32 = 287;
/// The version, the upper half of [`PVR`], of POWER10: it and all later ones have
/// prefixed instructions (ISA 3.1). Those before have 0x3f, 0x4b to 0x4e.
pub const POWER10: u32 = 0x80;
/// Target address register: a facility of its own (FSCR bit 8).
pub const TAR: u32 = 815;
