//! Interrupt vectors (ISA Book III, 7.4.1) and their names.

/// The first vector.
pub const FIRST: u64 = 0x100;
/// Behind the last vector below the system call vectored range.
pub const END: u64 = 0x3000;
/// Distance of the closest neighbours: eight instructions.
pub const STRIDE: u64 = 0x20;
/// The first vector of `scv` (ISA Book III, 7.5.27), as the low 14 bits of its address have it: one
/// for each of its 128 levels.
pub const SCV_FIRST: u64 = 0x3000;
/// Behind the last `scv` vector.
pub const SCV_END: u64 = 0x4000;
/// Where `scv` arrives with translation off.
pub const SCV_REAL: u64 = 0x17000;
/// What interrupts that arrive with translation on find their vectors above (`LPCR[AIL]` = 3): those
/// but `scv` at [`OFFSET`] and the vector.
pub const TRANSLATED: u64 = 0xc000_0000_0000_0000;
/// See [`TRANSLATED`].
pub const OFFSET: u64 = 0x4000;
/// The bits of a vector's address that tell which it is, wherever it was taken.
pub const MASK: u64 = 0x3fe0;

/// System reset.
pub const SYSTEM_RESET: u64 = 0x100;
/// Machine check.
pub const MACHINE_CHECK: u64 = 0x200;
/// Data storage: a load or a store was refused.
pub const DATA_STORAGE: u64 = 0x300;
/// Data segment: an address that no table is for.
pub const DATA_SEGMENT: u64 = 0x380;
/// Instruction storage: a fetch was refused.
pub const INSTRUCTION_STORAGE: u64 = 0x400;
/// Instruction segment.
pub const INSTRUCTION_SEGMENT: u64 = 0x480;
/// External: from the interrupt controller.
pub const EXTERNAL: u64 = 0x500;
/// Program: illegal instruction, trap, privileged instruction.
pub const PROGRAM: u64 = 0x700;
/// Decrementer went negative.
pub const DECREMENTER: u64 = 0x900;
/// Single step.
pub const TRACE: u64 = 0xd00;

/// In DSISR, and for fetches in SRR1: no page is there (ISA Book III, "Data Storage Interrupt").
pub const NO_PAGE: u64 = 1 << 30;
/// In SRR1: the page is not for instructions.
pub const NOT_CODE: u64 = 1 << 28;
/// In DSISR, and for fetches in SRR1: the page's rights forbid it.
pub const PROTECTED: u64 = 1 << 27;
/// In DSISR: it was a store.
pub const STORE: u64 = 1 << 25;
/// What SRR1 has of these.
pub const STORAGE_CAUSES: u64 = NO_PAGE | NOT_CODE | PROTECTED;

/// Where the CPU finds a vector, with translation on or off.
#[must_use]
pub const fn entry(vector: u64, translated: bool) -> u64 {
    let is_scv = SCV_FIRST <= vector && vector < SCV_END;
    match (translated, is_scv) {
        (true, true) => TRANSLATED + vector,
        (true, false) => TRANSLATED + OFFSET + vector,
        (false, true) => SCV_REAL - SCV_FIRST + vector,
        (false, false) => vector,
    }
}

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
