//! Return conventions: what a replacement function does right before it returns.

/// A return convention.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Convention {
    /// Nothing: whoever diverted the call brings r2 back.
    Plain = 0,
    /// The function rebuilds its caller's r2 from the word at 12(r1) of the
    /// caller's frame (Torsten Duwe, linuxppc-dev, 10 March 2016, corrected).
    Epilogue = 1,
}

/// The convention of this build.
pub const CONVENTION: Convention = if cfg!(feature = "plain") {
    Convention::Plain
} else {
    Convention::Epilogue
};

impl Convention {
    /// The convention with a number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Plain),
            1 => Some(Self::Epilogue),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Epilogue => "epilogue",
        }
    }
}

/// The instructions of [`Convention::Epilogue`], with a value pinned in the
/// registers that it is returned in.
///
/// On entry: this function has opened a frame and saved LR in its caller's, both
/// of which the clobber of LR makes the compiler do; 12(r1) of the caller's frame
/// holds TOC minus return address, as 32 bits.
/// On exit: r2 is the caller's TOC. Clobbers r0 and r11; the compiler then closes
/// the frame and returns. Nothing may use r2 from here on, which the proof of the
/// linked module shows.
///
/// The mail as posted has r0 in r11's place. As a base register, r0 means the
/// number 0, so it reads addresses 12 and 16.
#[doc(hidden)]
#[macro_export]
macro_rules! epilogue {
    ($($operands:tt)*) => {{
        #[cfg(all(target_arch = "powerpc64", not(feature = "plain")))]
        // SAFETY: reads two words of the caller's frame, which the back chain
        // leads to, and sets r2 to what the caller needs there. The hand-off has
        // put the first of them there, and the compiler the second.
        unsafe {
            core::arch::asm!(
                "ld 11, {back_chain}(1)",
                "lwa 2, {reserved}(11)",
                "ld 0, {lr_save}(11)",
                "add 2, 2, 0",
                back_chain = const core::mem::offset_of!($crate::convention::FrameHeader, back_chain),
                reserved = const core::mem::offset_of!($crate::convention::FrameHeader, reserved),
                lr_save = const core::mem::offset_of!($crate::convention::FrameHeader, lr_save),
                out("r11") _, out("r0") _, out("lr") _,
                $($operands)*
            );
        }
    }};
}

pub use layout::FrameHeader;
