//! What the loader takes: it follows from the hand-off that is in use, or from a flag of
//! the module's own.

use core::sync::atomic::{AtomicU32, Ordering};
use klp::{Convention, info};
use machine::arch;

/// The TOC that modules are relocated against.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TocChoice {
    /// Each module's own.
    Own,
    /// The kernel's: r2 is the same for all, and needn't be brought back. The module
    /// must lie within 2 GiB of it.
    Kernels,
}

/// The number of the convention, and whether the TOC is the kernel's.
static EXPECTED: AtomicU32 = AtomicU32::new(Convention::USUAL as u32);
const KERNELS: u32 = 1 << 31;

/// Sets what the loader takes from now on: modules that were built in this
/// convention, which it relocates against this TOC. Modules that are loaded stay as
/// they are.
pub fn expect(convention: Convention, toc: TocChoice) {
    let choice = match toc {
        TocChoice::Own => 0,
        TocChoice::Kernels => KERNELS,
    };
    EXPECTED.store(convention as u32 | choice, Ordering::Relaxed);
}

/// What the loader takes: [`Convention::USUAL`] and [`TocChoice::Own`] unless
/// [`expect`] has set something else.
#[must_use]
pub fn expected() -> (Convention, TocChoice) {
    let word = EXPECTED.load(Ordering::Relaxed);
    // Nothing else is ever stored there.
    let convention = Convention::from_number(word & !KERNELS).unwrap_or(Convention::USUAL);
    let toc = match word & KERNELS {
        0 => TocChoice::Own,
        _ => TocChoice::Kernels,
    };
    (convention, toc)
}

/// The convention that a module with these flags must follow, and the TOC that it is
/// relocated against: what is [`expected`], unless the module keeps the kernel's TOC, which
/// suits every hand-off.
pub(super) fn expected_of(flags: u32) -> (Convention, TocChoice) {
    match flags & info::KERNELS_TOC {
        0 => expected(),
        _ => (Convention::Plain, TocChoice::Kernels),
    }
}

/// The kernel's TOC pointer.
pub(super) fn kernels_toc() -> u64 {
    arch::kernel_toc()
}
