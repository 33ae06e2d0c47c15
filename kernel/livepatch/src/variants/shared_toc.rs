//! `shared-toc`: there is only one TOC.
//!
//! Ours. The question is who gives A its r2 back after C has changed it; so C does
//! not change it. The loader relocates the patch module against the kernel's own TOC
//! pointer: everything that code reaches by way of r2 it reaches by a distance of 32
//! bits (ELFv2 medium code model), from whichever address. C's global entry then
//! computes the kernel's r2, which A has already. The hand-off is a jump.
//!
//! Known price: the module must lie within 2 GiB of the kernel's TOC; and a caller
//! that has another TOC, in another module, would get the kernel's: functions of
//! modules can't be patched this way.

use super::{Toc, Variant};
use core::arch::global_asm;
use klp::Convention;
use report::Judgement;

/// What a caller gets that has another TOC. A module that calls a function of the
/// kernel's does so by a stub, and takes its own r2 back.
const KERNELS: &str = "C leaves the kernel's r2, whatever its caller had";

pub static VARIANT: Variant = Variant {
    name: "shared-toc",
    about: "the patch is relocated against the kernel's TOC, so r2 never changes",
    convention: Convention::Plain,
    hand_off,
    toc: Toc::Kernels,
    patches_modules: false,
    expects: &[
        (
            "module-local",
            Judgement::Refused,
            "A's TOC may be another than the kernel's, which is what it would get back",
        ),
        (
            "far-module",
            Judgement::Refused,
            "the module's data must be in reach of the kernel's TOC pointer",
        ),
        ("leaf-foreign-r2", Judgement::Fail, KERNELS),
        ("tail-call-foreign", Judgement::Fail, KERNELS),
    ],
    ..Variant::BASIC
};

fn hand_off() -> &'static [u32] {
    machine::code_between!(shared_toc_hand_off, shared_toc_hand_off_end)
}

// shared_toc_hand_off: copied to where it is needed.
//
// On entry: r0 and LR = A's return address, r2 = A's TOC, which is the kernel's,
// r1 = A's frame, r12 and CTR = C's global entry.
// On exit: at C. Clobbers: nothing. Stack: none.
global_asm!(
    ".globl shared_toc_hand_off, shared_toc_hand_off_end",
    "shared_toc_hand_off:",
    "bctr",
    "shared_toc_hand_off_end:",
);
