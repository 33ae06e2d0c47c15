//! The descriptor of a module, as it lies in the module's memory.

use crate::Convention;

/// First word of an [`Info`]: the format's name and version.
pub const MAGIC: u64 = u64::from_le_bytes(*b"KLPMOD\0\x01");

/// Section that holds the [`Info`], and nothing else.
pub const SECTION: &str = ".klp.info";

/// Symbol of the [`Info`].
pub const SYMBOL: &str = "__klp_info";

/// Bytes of the kernel's build id.
pub const BUILD_ID_BYTES: usize = 20;

/// Text of the module's.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Text {
    start: *const u8,
    length: u64,
}

impl Text {
    /// Refers to text that lives as long as the module does.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self {
            start: text.as_ptr(),
            length: text.len() as u64,
        }
    }

    /// Address and length in bytes.
    #[must_use]
    pub fn parts(&self) -> (u64, u64) {
        (self.start.addr() as u64, self.length)
    }
}

/// One function to replace.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Function {
    /// Path of the old function.
    pub old: Text,
    /// Which of several functions of that name, by address and counted from 1;
    /// 0 if there must be only one.
    pub position: u32,
    pad: u32,
    /// The new function.
    pub new: *const (),
}

impl Function {
    /// Replaces the function at `old` by `new`.
    #[must_use]
    pub const fn new(old: &'static str, position: u32, new: *const ()) -> Self {
        Self {
            old: Text::new(old),
            position,
            pad: 0,
            new,
        }
    }
}

/// The descriptor.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Info {
    /// [`MAGIC`].
    pub magic: u64,
    /// The return convention that the module's functions follow.
    pub convention: u32,
    /// Bit 0: replaces all patches before it.
    pub flags: u32,
    /// The build id of the kernel that the module is for. Zero as compiled;
    /// whoever packs the module fills it in.
    pub build_id: [u8; BUILD_ID_BYTES],
    pad: [u8; 4],
    /// The module's name.
    pub name: Text,
    /// The functions, as many as `function_count` says.
    pub functions: *const Function,
    /// How many there are.
    pub function_count: u64,
}

impl Info {
    /// Describes a module of this build's convention.
    #[must_use]
    pub const fn new(name: &'static str, functions: &'static [Function]) -> Self {
        Self {
            magic: MAGIC,
            convention: crate::CONVENTION as u32,
            flags: 0,
            build_id: [0; BUILD_ID_BYTES],
            pad: [0; 4],
            name: Text::new(name),
            functions: functions.as_ptr(),
            function_count: functions.len() as u64,
        }
    }

    /// The return convention, if it is one.
    #[must_use]
    pub fn convention(&self) -> Option<Convention> {
        Convention::from_number(self.convention)
    }
}

// SAFETY: plain data that nobody changes while the module lives; the pointers
// lead to the module's own constants.
unsafe impl Sync for Info {}
// SAFETY: as above.
unsafe impl Sync for Function {}
