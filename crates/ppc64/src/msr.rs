//! Machine state register bits (ISA Book III, 4.2.1), as masks.

/// Sixty-four-bit mode.
pub const SF: u64 = 1 << 63;
/// Vector unit available.
pub const VEC: u64 = 1 << 25;
/// VSX available.
pub const VSX: u64 = 1 << 23;
/// External (and decrementer) interrupts enabled.
pub const EE: u64 = 1 << 15;
/// Problem state: user mode.
pub const PR: u64 = 1 << 14;
/// Floating point available.
pub const FP: u64 = 1 << 13;
/// Machine checks enabled.
pub const ME: u64 = 1 << 12;
/// Single-step trace: an interrupt after every instruction.
pub const SE: u64 = 1 << 10;
/// Instruction addresses are translated.
pub const IR: u64 = 1 << 5;
/// Data addresses are translated.
pub const DR: u64 = 1 << 4;
/// An interrupt is recoverable: SRR0 and SRR1 hold nothing of value.
pub const RI: u64 = 1 << 1;
/// Little endian.
pub const LE: u64 = 1;

/// Bits in descending order with their names, for a register dump.
pub const NAMES: [(u64, &str); 12] = [
    (SF, "SF"),
    (VEC, "VEC"),
    (VSX, "VSX"),
    (EE, "EE"),
    (PR, "PR"),
    (FP, "FP"),
    (ME, "ME"),
    (SE, "SE"),
    (IR, "IR"),
    (DR, "DR"),
    (RI, "RI"),
    (LE, "LE"),
];
