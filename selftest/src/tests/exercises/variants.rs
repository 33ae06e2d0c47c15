//! Exercise 11: variants that did not come with the kernel. Told here; the runner has
//! them judged by the matrix.

use crate::check;
use alloc::vec::Vec;
use klp::SHIPPED_VARIANTS;
use livepatch::variants::{VARIANTS, Variant};
use machine::console;
use ppc64::opcode;
use report::Record;

/// A hand-off, without the halves of addresses that it loads by `lis` and `addi` or
/// `ori`: where a copy has its helper is no difference.
fn shape(hand_off: &[u32]) -> Vec<u32> {
    let mut high = 0_u32;
    let word = |&word: &u32| {
        let (first, second) = (1 << (word >> 21 & 31), 1 << (word >> 16 & 31));
        let is_half = match opcode::primary(word) {
            opcode::ADDIS => {
                high |= first;
                true
            }
            opcode::ADDI | opcode::ORI => first == second && high & first != 0,
            _ => false,
        };
        if is_half { word & 0xffff_0000 } else { word }
    };
    hand_off.iter().map(word).collect()
}

/// Whether two variants do the same.
fn are_alike(a: &Variant, b: &Variant) -> bool {
    shape((a.hand_off)()) == shape((b.hand_off)()) && a.toc == b.toc && a.convention == b.convention
}

crate::selftest! {
    control;

    /// There is a new one, and it is no copy.
    fn has_a_new_one() {
        let is_ours = |variant: &&&Variant| SHIPPED_VARIANTS.contains(&variant.name);
        let new: Vec<_> = VARIANTS.iter().filter(|variant| !is_ours(variant)).collect();
        check!(!new.is_empty(), "not done yet: there are only the {} variants that came with the kernel", SHIPPED_VARIANTS.len());
        for variant in new {
            let mut others = VARIANTS.iter().filter(|other| other.name != variant.name);
            if let Some(other) = others.find(|other| are_alike(variant, other)) {
                return Err(alloc::format!("expected: a hand-off of its own; found: `{}` hands over as `{}` does, instruction by instruction, with the same TOC and return convention", variant.name, other.name));
            }
            console::report(&Record::Measure { name: variant.name, unit: variant.convention.name(), value: 0 });
        }
        Ok(())
    }
}
