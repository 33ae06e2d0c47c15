//! The writer of code.

mod flush;
mod other_cpus;

use crate::check;
use alloc::{format, vec::Vec};
use lab::targets;
use machine::{
    arch, mm,
    mm::code::{CodeBlock, NO_CODE},
    text::{self, Change, PlanError, TextError},
};
use ppc64::insn;

/// A block to write to, and its words.
fn block(words: usize) -> Result<CodeBlock, alloc::string::String> {
    CodeBlock::new(words).map_err(|error| format!("{error}"))
}

fn words(block: &CodeBlock) -> Vec<u32> {
    let range = block.range();
    (range.start..range.end)
        .step_by(4)
        .map(text::read)
        .collect()
}

/// Applies changes to a block that must be refused, and checks that
/// nothing was written. Yields the refusal.
fn refused(block: &CodeBlock, changes: &[Change]) -> Result<PlanError, alloc::string::String> {
    let before = words(block);
    // SAFETY: nothing runs in the block.
    let result = unsafe { text::apply(changes) };
    check!(
        words(block) == before,
        "a refused change was written: {result:?}"
    );
    match result {
        Err(TextError::Refused(refusal)) => Ok(refusal),
        other => Err(format!("not refused: {other:?}")),
    }
}

fn change(address: u64, expected: u32) -> Change {
    Change {
        address,
        expected,
        new: insn::NOP,
    }
}

crate::selftest! {
    /// The store is followed by what makes instruction fetch see it, in order.
    /// Under QEMU a missing flush has no effect, so only its words can tell.
    fn stores_are_flushed() {
        let expected = [
            0x9085_0000, // stw   r4, 0(r5), where it is written
            0x7c00_286c, // dcbst 0, r5
            0x7c00_04ac, // sync
            0x7c00_1fac, // icbi  0, r3
            0x7c00_04ac, // sync
            0x4c00_012c, // isync
            0x8063_0000, // lwz   r3, 0(r3)
            insn::BLR,
        ];
        let found = arch::store_instruction_words();
        check!(found == expected, "{found:08x?} instead of {expected:08x?}");
        Ok(())
    }

    /// A refusal names the function that the word is in.
    fn refusals_name_the_function() {
        let target = targets::leaf as *const () as u64;
        // SAFETY: refused, for the first word of a function is not this one.
        let result = unsafe { text::apply(&[change(target, insn::BLR)]) };
        let Err(error) = result else {
            return Err("not refused".into());
        };
        let (error, word) = (format!("{error}"), text::read(target));
        let expected = format!("the word at {target:#x} is {word:#010x}, expected {:#010x} (lab::targets::leaf+0x0/", insn::BLR);
        check!(error.starts_with(&expected), "{error}");
        Ok(())
    }

    /// A transaction is written as a whole, across a page's end too, and its
    /// neighbours stay as they are.
    fn changes_are_written() {
        let block = block(2048)?;
        let page_end = (block.start() + 4096) & !4095;
        let places = [block.start() + 4, page_end - 4, page_end, page_end + 8];
        let changes: Vec<_> = places.iter().map(|&place| change(place, NO_CODE)).collect();
        // SAFETY: nothing runs in the block.
        unsafe { text::apply(&changes) }.map_err(|error| format!("{error}"))?;
        for address in (block.start()..block.range().end).step_by(4) {
            let expected = if places.contains(&address) { insn::NOP } else { NO_CODE };
            let found = text::read(address);
            check!(found == expected, "{address:#x} holds {found:#010x} instead of {expected:#010x}");
        }
        Ok(())
    }

    /// Each kind of misfit is refused as what it is, and nothing is written,
    /// whichever change of the transaction it is.
    fn misfits_are_refused() {
        let block = block(16)?;
        let good = change(block.start(), NO_CODE);
        let second = block.start() + 4;
        let store = arch::store_instruction_words().as_ptr() as u64;

        let refusal = refused(&block, &[good, change(second, 0x1234_5678)])?;
        let expected =
            PlanError::Mismatch { address: second, found: NO_CODE, expected: 0x1234_5678 };
        check!(refusal == expected, "{refusal:?}");
        let refusal = refused(&block, &[good, change(second + 2, NO_CODE)])?;
        check!(matches!(refusal, PlanError::Misaligned { .. }), "{refusal:?}");
        let refusal = refused(&block, &[good, good])?;
        check!(matches!(refusal, PlanError::Overlap { .. }), "{refusal:?}");
        let refusal = refused(&block, &[change(second, NO_CODE), good])?;
        check!(matches!(refusal, PlanError::Unsorted { .. }), "{refusal:?}");
        let outside = mm::code::region().end;
        let refusal = refused(&block, &[good, change(outside, 0)])?;
        check!(matches!(refusal, PlanError::OutsideText { .. }), "{refusal:?}");
        let refusal = refused(&block, &[change(store, text::read(store)), good])?;
        check!(matches!(refusal, PlanError::Forbidden { .. }), "{refusal:?}");
        Ok(())
    }
}
