//! Who a module is, by its descriptor. What it patches is read by the crate that owns
//! patches.

use super::{Memory, ModuleError};
use alloc::string::String;
use core::{mem::offset_of, ops};
use klp::{Convention, Info, Provided, info};
use machine::arch;
use ppc64::spr;

/// The most functions that one module may provide.
const MOST_PROVIDED: u64 = 4096;

/// This kernel's build id: the last bytes of the linker's note.
#[must_use]
pub fn build_id() -> [u8; info::BUILD_ID_BYTES] {
    // SAFETY: the linker script puts the note between the two symbols.
    let note = unsafe { machine::collected!(u8, __build_id_start, __build_id_end) };
    note.last_chunk().copied().unwrap_or_default()
}

/// The flags of a module that is not placed yet: they decide on what it is relocated
/// against. None, if it has no descriptor.
pub(super) fn flags(module: &modload::Module<'_>) -> u32 {
    let descriptor = module.section(info::SECTION).unwrap_or_default();
    let flags = descriptor.get(offset_of!(Info, flags)..);
    let flags = flags.and_then(<[u8]>::first_chunk);
    flags.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Reads the descriptor of a placed module in this section, and checks that the module is
/// for this kernel, processor and hand-off, which asks for a return convention unless the
/// module keeps the kernel's TOC. Returns
/// the module's name, and the descriptor: where that leads to is not checked yet, but for
/// the provided functions.
///
/// # Errors
/// The first thing that does not fit.
pub fn identify(
    memory: &Memory,
    section: Option<ops::Range<u64>>,
    expected_convention: Convention,
) -> Result<(String, Info), ModuleError<'static>> {
    let section = section.ok_or(ModuleError::NoDescriptor)?;
    let found = section.end - section.start;
    let expected = size_of::<Info>() as u64;
    if found != expected {
        return Err(ModuleError::DescriptorSize { found, expected });
    }
    let info: Info = memory
        .value(section.start)
        .ok_or(ModuleError::NoDescriptor)?;
    if info.magic != info::MAGIC {
        return Err(ModuleError::Magic { found: info.magic });
    }
    let name = memory.text(info.name)?;
    let expected = build_id();
    if info.build_id != expected {
        return Err(ModuleError::BuildId {
            name,
            found: info.build_id,
            expected,
        });
    }
    if info.flags & !info::FLAGS != 0 {
        return Err(ModuleError::Flags { found: info.flags });
    }
    if info.keeps_kernels_toc() && info.convention() != Some(Convention::Plain) {
        return Err(ModuleError::NotPlain {
            name,
            found: info.convention,
        });
    }
    // No other will do. If neither hand-off nor function restores r2, it stays wrong; and
    // what the two do must fit together.
    if !info.keeps_kernels_toc() && info.convention() != Some(expected_convention) {
        return Err(ModuleError::Convention {
            name,
            found: info.convention,
            expected: expected_convention,
        });
    }
    let processor = arch::processor_version() >> 16;
    if info.convention() == Some(Convention::Pcrel) && processor < spr::POWER10 {
        return Err(ModuleError::Processor {
            name,
            found: processor,
        });
    }
    let provided = (info.provides, info.provided_count);
    for Provided { function } in memory.table("provided functions", provided, MOST_PROVIDED)? {
        let address = function.addr() as u64;
        if !memory.is_code(address) {
            return Err(ModuleError::BadProvided { address });
        }
    }
    Ok((name, info))
}
