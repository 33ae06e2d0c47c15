//! `pcrel`: C has no TOC at all.
//!
//! Linux's kernels for POWER10 (CONFIG_PPC_KERNEL_PCREL, 2023): prefixed
//! instructions reach data relative to themselves, so code needs no r2. That settles
//! the question only where A needs none either. Here A does: and r2 is an ordinary
//! volatile register to PC-relative code (ELFv2 3.4.1: a function whose symbol
//! has the local-entry value 1 need not keep it), which C may use, and which every
//! kernel function that C calls sets to the kernel's TOC on its way in. So a
//! function that A has called locally must still give A its r2 back, and C does it as in
//! `epilogue`: hand-off and return convention are the same.
//!
//! Known price: POWER10 only, and the price of `epilogue`, less what C's own TOC
//! pointer costs.

use super::{Toc, Variant, epilogue};
use klp::Convention;
use report::Judgement;

/// Upper half of the processor version register: POWER10, and everything after it.
const POWER10: u32 = 0x80;

pub static VARIANT: Variant = Variant {
    name: "pcrel",
    about: "C is PC-relative and has no TOC; r2 comes back as in epilogue",
    convention: Convention::Pcrel,
    hand_off: epilogue::hand_off,
    toc: Toc::None,
    needs: || {
        if machine::arch::processor_version() >> 16 >= POWER10 {
            Ok(())
        } else {
            Err("it needs prefixed instructions, which POWER10 has first")
        }
    },
    expects: &[
        ("reserved-word", Judgement::Fail, epilogue::RESERVED),
        (
            "tail-call-foreign",
            Judgement::Fail,
            "C is gone without having rebuilt r2, and the kernel's function leaves the kernel's",
        ),
    ],
    ..Variant::BASIC
};
