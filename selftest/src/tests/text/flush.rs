//! What makes new code visible to instruction fetch. QEMU needs none of it: it throws
//! away what it has translated when memory is written to. So a flush that is missing
//! changes nothing there, and these tests watch the instructions themselves.

use crate::{
    check,
    tests::common::{text, traced},
};
use alloc::{string::String, vec::Vec};
use ftrace::{Flags, Ops};
use lab::{
    instruments::sanitiser::{SanitisedCall, kernel_toc},
    single_step::{self, At, Next},
};
use layout::{CallFrame, TrapFrame};
use machine::{arch, mm::code::CodeBlock, mmu, sync::IrqLock, text as code};

/// Size of a cache block on every CPU that is supported, in bytes.
const BLOCK: u64 = 128;

/// An instruction that works on caches, or waits for one that does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// `dcbst`, and the block that it writes back to memory.
    Store(u64),
    /// `icbi`, and the block that it drops from the instruction cache.
    Invalidate(u64),
    /// `sync`.
    Sync,
    /// `isync`.
    Isync,
}

/// Which of them an instruction is, in a CPU with these registers (ISA Book II, 4.3 and
/// 4.6).
fn step(word: u32, gpr: &[u64; 32]) -> Option<Step> {
    const OPCODE: u32 = 0xfc00_07fe;
    let register = |shift: u32| (word >> shift & 31) as usize;
    let base = match register(16) {
        0 => 0,
        ra => gpr[ra],
    };
    let block = base.wrapping_add(gpr[register(11)]) & !(BLOCK - 1);
    match word {
        0x7c00_04ac => Some(Step::Sync),
        0x4c00_012c => Some(Step::Isync),
        _ if word & OPCODE == 0x7c00_006c => Some(Step::Store(block)),
        _ if word & OPCODE == 0x7c00_07ac => Some(Step::Invalidate(block)),
        _ => None,
    }
}

/// What a flush of so many bytes at `start` does.
fn flush(start: u64, size: u64) -> Result<Vec<Step>, String> {
    let mut seen = Vec::with_capacity(2 * (size / BLOCK) as usize + 16);
    let entry = arch::flush_code as *const () as u64;
    let mut call = SanitisedCall::local(entry, kernel_toc(), &[start, size]);
    let mut visitor = |frame: &mut TrapFrame, at| {
        if seen.len() == seen.capacity() {
            return Next::GiveUp;
        }
        if at == At::Instruction {
            seen.extend(step(code::read(frame.nip), &frame.gpr));
        }
        Next::Step
    };
    // SAFETY: it takes an address and a size, and changes nothing.
    let fault = unsafe { single_step::make(&mut call, &mut visitor) }.fault;
    check!(
        fault.is_none(),
        "the flush of {size:#x} bytes at {start:#x} did not come back"
    );
    Ok(seen)
}

/// The blocks that a range has bytes in, by looking at each byte.
fn blocks(start: u64, size: u64) -> Vec<u64> {
    let mut blocks: Vec<u64> = (start..start + size)
        .map(|byte| byte & !(BLOCK - 1))
        .collect();
    blocks.dedup();
    blocks
}

/// Records which code is flushed, by the calls of [`CodeBlock::protect`].
static PROTECTS: Ops = Ops::new("protects", record, Flags::empty());
static PROTECTED: IrqLock<Vec<(u64, u64)>> = IrqLock::new(Vec::new());

extern "C" fn record(_: u64, _: u64, _: &Ops, frame: &mut CallFrame) {
    // SAFETY: the function's argument.
    let block = unsafe { &*(frame.gpr[3] as *const CodeBlock) };
    let mut protected = PROTECTED.lock();
    if protected.len() < protected.capacity() {
        protected.push((block.range().start, frame.gpr[4]));
    }
}

crate::selftest! {
    /// A flush reaches every block that has a byte of the range, the last one too, in
    /// the order of ISA Book II, 1.9: all out of the data cache, sync, all out of the
    /// instruction cache, sync, isync.
    fn flushes_reach_every_block() {
        let memory = CodeBlock::for_module(16 * BLOCK as usize, BLOCK as usize).map_err(text)?;
        let start = memory.start();
        let ranges = [
            (0, 4), (0, BLOCK), (0, BLOCK + 4), (4, BLOCK), (BLOCK - 4, 4), (BLOCK - 4, 8),
            (BLOCK - 4, BLOCK + 8), (0, 8 * BLOCK), (60, 9 * BLOCK + 76),
        ];
        for (offset, size) in ranges {
            let found = flush(start + offset, size)?;
            let blocks = blocks(start + offset, size);
            let mut expected: Vec<Step> = blocks.iter().copied().map(Step::Store).collect();
            expected.push(Step::Sync);
            expected.extend(blocks.into_iter().map(Step::Invalidate));
            expected.extend([Step::Sync, Step::Isync]);
            check!(found == expected, "{size} bytes from {offset} in a block on: {found:x?} instead of {expected:x?}");
        }
        Ok(())
    }

    /// A module's code is flushed once, all of it, when it comes. When it goes, its pages do.
    fn modules_are_flushed() {
        const NAME: &str = "kinds";
        let file = loader::find_file(NAME)?;
        *PROTECTED.lock() = Vec::with_capacity(64);
        let range = traced(&PROTECTS, &["<machine::mm::code::CodeBlock>::protect"], || {
            let module = loader::load(file.bytes).map_err(text)?;
            Ok::<_, String>(module.range())
        })??;
        let protected = core::mem::take(&mut *PROTECTED.lock());
        let is_code = |address| code::is_code(address);
        let there: Vec<bool> = protected.iter().map(|&(start, end)| is_code(start) && is_code(end - 4)).collect();
        loader::unload(NAME).map_err(text)?;
        check!(
            matches!(protected[..], [(start, end)] if start == range.start && end <= range.end) && there == [true],
            "{range:x?} became code as {protected:x?}, {there:?}"
        );
        let left: Vec<u64> = (range.start..range.end)
            .step_by(mmu::PAGE as usize)
            .filter(|&page| is_code(page) || mmu::page_at(page).is_some())
            .collect();
        check!(left.is_empty(), "still there: {left:x?}");
        Ok(())
    }
}
