//! How a call leaves the module.

use ppc64::insn;

/// Instructions in a stub.
pub const STUB_WORDS: usize = 8;
/// Bytes of a stub, and what its address is a multiple of: so it does not
/// straddle two cache lines.
pub(crate) const STUB_BYTES: u64 = 4 * STUB_WORDS as u64;
/// Where calls come in that have no r2 to be saved.
pub(crate) const WITHOUT_SAVE: u64 = 4;
/// Where the caller's frame has room for its r2 (ELFv2 ABI 2.2.3).
pub(crate) const TOC_SAVE: i16 = 24;
/// What the `nop` behind a call becomes: `ld r2,24(r1)`.
pub(crate) const RESTORE: u32 = insn::ld(2, TOC_SAVE, 1);

/// The stub that goes to a function's global entry point at `target`: it saves
/// r2 in the caller's frame, and the function finds its own address in r12
/// (ELFv2 ABI 2.3.2.1). Code that has no TOC enters behind the first word.
#[must_use]
pub const fn stub(target: u64) -> [u32; STUB_WORDS] {
    // The register that holds the address.
    const TO: u32 = 12;
    [
        insn::std(2, TOC_SAVE, 1),
        insn::lis(TO, (target >> 48) as u16),
        insn::ori(TO, TO, (target >> 32) as u16),
        insn::sldi(TO, TO, 32),
        insn::oris(TO, TO, (target >> 16) as u16),
        insn::ori(TO, TO, target as u16),
        insn::mtctr(TO),
        insn::bctr(),
    ]
}
