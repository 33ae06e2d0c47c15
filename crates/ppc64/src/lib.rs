//! The architecture's numbers: MSR bits, special-purpose registers, hypervisor
//! calls, interrupt vectors and instruction words, each with the manual's section.
//!
//! Abbreviations: *ISA* is the Power ISA, version 3.1, *PAPR* the Power
//! Architecture Platform Requirements (LoPAPR 1.1).
#![no_std]
#![forbid(unsafe_code)]

pub mod hcall;
pub mod insn;
pub mod msr;
pub mod opcode;
pub mod spr;
pub mod vector;
