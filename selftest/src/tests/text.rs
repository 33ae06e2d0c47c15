//! The writer of code, and the far stubs.

mod flush;

use crate::check;
use alloc::{format, vec::Vec};
use lab::targets;
use machine::{
    arch, mm,
    mm::code::CodeBlock,
    text::{self, Change, FarStub, PlanError, TextError},
};
use ppc64::insn;

/// A block of traps to write to, and its words.
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

/// Applies changes to a block of traps that must be refused, and checks that
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
            0x9083_0000, // stw   r4, 0(r3)
            0x7c00_186c, // dcbst 0, r3
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
        let victim = targets::leaf as *const () as u64;
        // SAFETY: refused, for the first word of a function is not this one.
        let result = unsafe { text::apply(&[change(victim, insn::BLR)]) };
        let Err(error) = result else {
            return Err("not refused".into());
        };
        let (error, word) = (format!("{error}"), text::read(victim));
        let expected = format!("the word at {victim:#x} is {word:#010x}, expected {:#010x} (lab::targets::leaf+0x0/", insn::BLR);
        check!(error.starts_with(&expected), "{error}");
        Ok(())
    }

    /// A transaction is written as a whole, across a page's end too, and its
    /// neighbours stay as they are.
    fn changes_are_written() {
        let block = block(2048)?;
        let page_end = (block.start() + 4096) & !4095;
        let places = [block.start() + 4, page_end - 4, page_end, page_end + 8];
        let changes: Vec<_> = places.iter().map(|&place| change(place, insn::TRAP)).collect();
        // SAFETY: nothing runs in the block.
        unsafe { text::apply(&changes) }.map_err(|error| format!("{error}"))?;
        for address in (block.start()..block.range().end).step_by(4) {
            let expected = if places.contains(&address) { insn::NOP } else { insn::TRAP };
            let found = text::read(address);
            check!(found == expected, "{address:#x} holds {found:#010x} instead of {expected:#010x}");
        }
        Ok(())
    }

    /// Each kind of misfit is refused as what it is, and nothing is written,
    /// whichever change of the transaction it is.
    fn misfits_are_refused() {
        let block = block(16)?;
        let good = change(block.start(), insn::TRAP);
        let second = block.start() + 4;
        let store = arch::store_instruction_words().as_ptr() as u64;

        let refusal = refused(&block, &[good, change(second, 0x1234_5678)])?;
        let expected =
            PlanError::Mismatch { address: second, found: insn::TRAP, expected: 0x1234_5678 };
        check!(refusal == expected, "{refusal:?}");
        let refusal = refused(&block, &[good, change(second + 2, insn::TRAP)])?;
        check!(matches!(refusal, PlanError::Misaligned { .. }), "{refusal:?}");
        let refusal = refused(&block, &[good, good])?;
        check!(matches!(refusal, PlanError::Overlap { .. }), "{refusal:?}");
        let refusal = refused(&block, &[change(second, insn::TRAP), good])?;
        check!(matches!(refusal, PlanError::Unsorted { .. }), "{refusal:?}");
        let outside = mm::code::region().end;
        let refusal = refused(&block, &[good, change(outside, 0)])?;
        check!(matches!(refusal, PlanError::OutsideText { .. }), "{refusal:?}");
        let refusal = refused(&block, &[change(store, text::read(store)), good])?;
        check!(matches!(refusal, PlanError::Forbidden { .. }), "{refusal:?}");
        Ok(())
    }

    /// A target that no branch reaches is reached through a stub, with every
    /// argument in place.
    fn far_targets_are_reached() {
        // As a stand-in for a function far away, one in reach: what a far stub
        // does depends on the address alone.
        let target = targets::c_sum10 as *const () as u64;
        let stub = FarStub::new(target).map_err(|error| format!("{error}"))?;
        // SAFETY: the stub jumps to a function of this type. That function is a leaf
        // without TOC set-up, so it needs no r12.
        let through: extern "C" fn(i64, i64, i64, i64, i64, i64, i64, i64, i64, i64) -> i64 =
            unsafe { core::mem::transmute(stub.start()) };
        let found = through(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
        check!(found == 385, "{found} instead of 385");

        // All that it may change is CTR, so it puts r12 back.
        let far = FarStub::new(0x1234_5678_9abc_def0).map_err(|error| format!("{error}"))?;
        let expected = [
            0xf981_fff8, // std   r12, -8(r1)
            0x3d80_1234, // lis   r12, 0x1234
            0x618c_5678, // ori   r12, r12, 0x5678
            0x798c_07c6, // sldi  r12, r12, 32
            0x658c_9abc, // oris  r12, r12, 0x9abc
            0x618c_def0, // ori   r12, r12, 0xdef0
            0x7d89_03a6, // mtctr r12
            0xe981_fff8, // ld    r12, -8(r1)
            0x4e80_0420, // bctr
        ];
        let words: Vec<u32> = (0..9).map(|word| text::read(far.start() + 4 * word)).collect();
        check!(words == expected, "{words:08x?}");
        drop(far);

        let from = stub.start();
        let reach = insn::BRANCH_HIGHEST as u64;
        let route = text::route(from, from + reach, true).map_err(|error| format!("{error}"))?;
        check!(matches!(route.1, text::Route::Direct), "a stub at the very reach of a branch");
        let used = mm::code::used();
        let (word, route) = text::route(from, from + reach + 4, true).map_err(|error| format!("{error}"))?;
        let text::Route::Through(far) = &route else {
            return Err("no stub one word beyond the reach of a branch".into());
        };
        let branch = insn::branch_target(from, word).map(|branch| (branch.target, branch.link));
        check!(branch == Some((far.start(), true)), "the branch goes to {branch:x?}");
        drop(route);
        check!(mm::code::used() == used, "the stub's memory was not given back");
        Ok(())
    }
}
