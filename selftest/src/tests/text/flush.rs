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
use machine::{arch, mm::code::CodeBlock, sync::IrqLock, text as code};

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

/// Records what is flushed as code, by the calls of [`CodeBlock::flush`].
static FLUSHES: Ops = Ops::new("flushes", record, Flags::empty());
static FLUSHED: IrqLock<Vec<(u64, u64)>> = IrqLock::new(Vec::new());

extern "C" fn record(_: u64, _: u64, _: &Ops, frame: &mut CallFrame) {
    // SAFETY: the function's argument.
    let block = unsafe { &*(frame.gpr[3] as *const CodeBlock) };
    let mut flushed = FLUSHED.lock();
    if flushed.len() < flushed.capacity() {
        flushed.push((block.range().start, block.range().end));
    }
}

crate::selftest! {
    /// A flush reaches every block that has a byte of the range, the last one too, in
    /// the order of ISA Book II, 1.9: all out of the data cache, sync, all out of the
    /// instruction cache, sync, isync.
    fn flushes_reach_every_block() {
        let memory = CodeBlock::unwritten(16 * BLOCK as usize, BLOCK as usize).map_err(text)?;
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

    /// A module's code is flushed, all of it and once, when it comes and when it goes.
    fn modules_are_flushed() {
        const NAME: &str = "kinds";
        let file = loader::find_file(NAME)?;
        *FLUSHED.lock() = Vec::with_capacity(64);
        let (range, coming) = traced(&FLUSHES, &["<machine::mm::code::CodeBlock>::flush"], || {
            let range = loader::load(file.bytes).map_err(text)?.range();
            let coming = core::mem::replace(&mut *FLUSHED.lock(), Vec::with_capacity(64));
            loader::unload(NAME).map_err(text)?;
            Ok::<_, String>((range, coming))
        })??;
        let going = core::mem::take(&mut *FLUSHED.lock());
        for (when, flushed) in [("loaded", coming), ("unloaded", going)] {
            let times = flushed.iter().filter(|&&one| one == (range.start, range.end)).count();
            check!(times == 1, "{range:x?} was flushed {times} times when it was {when}: {flushed:x?}");
        }
        Ok(())
    }
}
