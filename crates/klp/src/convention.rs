//! Return conventions: what a replacement function does right before it returns.

/// A return convention.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u32)]
pub enum Convention {
    /// Nothing: the code that diverted the call restores r2, or r2 never changes.
    Plain = 0,
    /// The function rebuilds its caller's r2 from the word at 12(r1) of the
    /// caller's frame (Torsten Duwe, linuxppc-dev, 10 March 2016, corrected).
    Epilogue = 1,
    /// The same to the letter of the mail, with r0 as the base register. It can't
    /// work: as a base, r0 means the number 0. The control that must fail.
    AsPosted = 2,
    /// The instructions of [`Self::Epilogue`], in code that finds its data relative
    /// to the program counter (ISA 3.1, POWER10), uses no TOC, and takes r2 for one
    /// volatile register more (ELFv2 2.2.1.1).
    Pcrel = 3,
}

/// The convention of this build.
pub const CONVENTION: Convention = if cfg!(feature = "plain") {
    Convention::Plain
} else if cfg!(feature = "as-posted") {
    Convention::AsPosted
} else if cfg!(feature = "pcrel") {
    Convention::Pcrel
} else {
    Convention::Epilogue
};

impl Convention {
    /// All of them, by number.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Epilogue, Self::AsPosted, Self::Pcrel];

    /// The one that modules are built in by default.
    pub const USUAL: Self = Self::Epilogue;

    /// The convention with a number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Plain),
            1 => Some(Self::Epilogue),
            2 => Some(Self::AsPosted),
            3 => Some(Self::Pcrel),
            _ => None,
        }
    }

    /// Whether the function takes the sum of its return address and the word at 12(r1)
    /// of its caller's frame for the caller's TOC pointer. From the hand-off until the
    /// function has returned, code that changes the return address must then change the
    /// word by as much, the other way.
    #[must_use]
    pub const fn sums_up_toc(self) -> bool {
        matches!(self, Self::Epilogue | Self::Pcrel)
    }

    /// Its name, which is also that of the feature of this crate that builds it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Epilogue => "epilogue",
            Self::AsPosted => "as-posted",
            Self::Pcrel => "pcrel",
        }
    }

    /// The convention with a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// Follows the convention of this build, with a value pinned in the registers that
/// it is returned in.
///
/// On entry: this function has opened a frame and saved LR in its caller's, both
/// of which the clobber of LR makes the compiler do; 12(r1) of the caller's frame
/// holds TOC minus return address, as 32 bits.
/// On exit: r2 is the caller's TOC, unless the convention is one that leaves that
/// to others or fails. Clobbers r0 and r11; the compiler then closes the frame and
/// returns. Nothing may use r2 from here on, which the proof of the linked module
/// shows.
#[doc(hidden)]
#[macro_export]
macro_rules! epilogue {
    ($($operands:tt)*) => {{
        #[cfg(all(
            target_arch = "powerpc64",
            not(any(feature = "plain", feature = "as-posted"))
        ))]
        $crate::__restore!("11"; $($operands)*);
        // Nothing, but behind all calls: a function that ends in a tail call is gone
        // while what it has called still runs, and no stack walk could see that a
        // thread is in it.
        #[cfg(all(target_arch = "powerpc64", feature = "plain"))]
        // SAFETY: no instruction at all.
        unsafe {
            core::arch::asm!("", $($operands)*);
        }
        // The mail as posted.
        #[cfg(all(
            target_arch = "powerpc64",
            feature = "as-posted",
            not(feature = "plain")
        ))]
        $crate::__restore!("0"; $($operands)*);
    }};
}

/// The instructions of [`epilogue!`]. `$base` is to hold the address of the
/// caller's frame.
#[doc(hidden)]
#[macro_export]
macro_rules! __restore {
    ($base:literal; $($operands:tt)*) => {
        // SAFETY: reads two words of the caller's frame, which the back chain leads to, and
        // sets r2 to what the caller needs there. The hand-off has put the first of them
        // there, and the compiler the second. The compiler does not know that r2 changes,
        // nor can it be told: that nothing reads r2 afterwards, and that back chain and LR
        // are where this looks, is shown for the machine code, path by path. `xtask` packs
        // no module of which it can't show that (`xtask/src/proof.rs`). (With r0 as the
        // base, it loads from addresses 12 and 16. Where these have no page it faults; where
        // they have, that has no side effects, and the caller of such a function takes care of
        // its own r2.)
        unsafe {
            core::arch::asm!(
                concat!("ld ", $base, ", {back_chain}(1)"),
                concat!("lwa 2, {reserved}(", $base, ")"),
                concat!("ld 0, {lr_save}(", $base, ")"),
                "add 2, 2, 0",
                back_chain = const core::mem::offset_of!($crate::convention::FrameHeader, back_chain),
                reserved = const core::mem::offset_of!($crate::convention::FrameHeader, reserved),
                lr_save = const core::mem::offset_of!($crate::convention::FrameHeader, lr_save),
                out("r11") _, out("r0") _, out("lr") _,
                $($operands)*
            );
        }
    };
}

pub use layout::FrameHeader;
