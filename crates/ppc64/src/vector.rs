//! Interrupt vectors (ISA Book III, 7.4.1) and their names.

/// The first vector.
pub const FIRST: u64 = 0x100;
/// Behind the last vector below the system call vectored range.
pub const END: u64 = 0x3000;
/// Distance of the closest neighbours: eight instructions.
pub const STRIDE: u64 = 0x20;
/// Where `scv` arrives with translation off (ISA Book III, 7.5.27): one
/// vector for each of its 128 levels.
pub const SCV_FIRST: u64 = 0x17000;
/// Behind the last `scv` vector.
pub const SCV_END: u64 = 0x18000;

/// System reset.
pub const SYSTEM_RESET: u64 = 0x100;
/// Machine check.
pub const MACHINE_CHECK: u64 = 0x200;
/// External: from the interrupt controller.
pub const EXTERNAL: u64 = 0x500;
/// Program: illegal instruction, trap, privileged instruction.
pub const PROGRAM: u64 = 0x700;
/// Decrementer went negative.
pub const DECREMENTER: u64 = 0x900;
/// Single step.
pub const TRACE: u64 = 0xd00;

/// Name of the interrupt that arrives at `vector`.
#[must_use]
pub const fn name(vector: u64) -> &'static str {
    match vector {
        0x100 => "system reset",
        0x200 => "machine check",
        0x300 => "data storage",
        0x380 => "data segment",
        0x400 => "instruction storage",
        0x480 => "instruction segment",
        0x500 => "external",
        0x600 => "alignment",
        0x700 => "program",
        0x800 => "floating point unavailable",
        0x900 => "decrementer",
        0x980 => "hypervisor decrementer",
        0xa00 => "directed privileged doorbell",
        0xc00 => "system call",
        0xd00 => "trace",
        0xe00 => "hypervisor data storage",
        0xe20 => "hypervisor instruction storage",
        0xe40 => "hypervisor emulation assistance",
        0xe60 => "hypervisor maintenance",
        0xe80 => "directed hypervisor doorbell",
        0xea0 => "hypervisor virtualization",
        0xf00 => "performance monitor",
        0xf20 => "vector unavailable",
        0xf40 => "VSX unavailable",
        0xf60 => "facility unavailable",
        0xf80 => "hypervisor facility unavailable",
        0x1500 => "denormalisation assistance",
        SCV_FIRST..SCV_END => "system call vectored",
        _ => "not an architected interrupt",
    }
}

/// Whether a program interrupt is a trap instruction's, by SRR1 (ISA Book III, 7.5.9).
#[must_use]
pub const fn is_trap(srr1: u64) -> bool {
    srr1 & (1 << 17) != 0
}

/// What SRR1 says about a program interrupt (ISA Book III, 7.5.9).
#[must_use]
pub const fn program_cause(srr1: u64) -> &'static str {
    if is_trap(srr1) {
        "trap instruction"
    } else if srr1 & (1 << 18) != 0 {
        "privileged instruction"
    } else if srr1 & (1 << 19) != 0 {
        "illegal instruction"
    } else if srr1 & (1 << 20) != 0 {
        "floating point exception"
    } else {
        "no cause given"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_name() {
        assert_eq!(name(DECREMENTER), "decrementer");
        assert_eq!(name(SCV_FIRST + 0x20), "system call vectored");
        assert_eq!(name(0x120), "not an architected interrupt");
    }

    #[test]
    fn program_causes_are_told_apart() {
        assert_eq!(program_cause(1 << 19), "illegal instruction");
        assert_eq!(program_cause(1 << 17), "trap instruction");
        assert_eq!(program_cause(0), "no cause given");
    }
}
