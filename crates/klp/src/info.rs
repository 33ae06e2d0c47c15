//! The descriptor of a module, as it lies in the module's memory: what Linux keeps
//! in `struct klp_patch` and the structs that it points to
//! (include/linux/livepatch.h).

use crate::{Callbacks, Convention, State};
use core::ptr;

/// First word of an [`Info`]: the format's name and version.
pub const MAGIC: u64 = u64::from_le_bytes(*b"KLPMOD\0\x02");

/// Section that holds the [`Info`], and nothing else.
pub const SECTION: &str = ".klp.info";

/// Symbol of the [`Info`].
pub const SYMBOL: &str = "__klp_info";

/// Does not compile if a module has another name than its crate.
///
/// # Panics
/// If the two names differ.
#[doc(hidden)]
pub const fn must_be_the_crates(name: &str, package: &str) {
    let (name, package) = (name.as_bytes(), package.as_bytes());
    let mut same = name.len() == package.len();
    let mut index = 0;
    while same && index < name.len() {
        same = name[index] == package[index];
        index += 1;
    }
    assert!(
        same,
        "the name in `klp::module!` is not the crate's, which is the folder's"
    );
}

/// Bytes of the kernel's build id.
pub const BUILD_ID_BYTES: usize = 20;

/// In [`Info::flags`]: the patch takes the place of all patches before it, and
/// functions that it does not replace become the old ones again.
pub const REPLACE: u32 = 1;

/// In [`Info::flags`]: r2 holds the kernel's TOC pointer in all of the module's code, and
/// no instruction of it changes that. So it is relocated against the kernel's TOC whatever
/// hand-off is in use, and suits every one. Its convention is [`Convention::Plain`], and it
/// replaces functions of the kernel alone: a caller in a module has another r2.
pub const KERNELS_TOC: u32 = 2;

/// All flags that there are.
pub const FLAGS: u32 = REPLACE | KERNELS_TOC;

/// What may be read from bytes that came from outside.
///
/// # Safety
/// Every bit pattern is a value of the type.
pub unsafe trait Plain: Copy {}

// SAFETY: integers.
unsafe impl Plain for u32 {}
// SAFETY: a raw pointer.
unsafe impl<T> Plain for *const T {}
// SAFETY: integers and raw pointers.
unsafe impl Plain for Info {}
// SAFETY: integers, raw pointers, and in the callbacks pointers to functions: null
// is none, and any other is one, which must be checked before it is called.
unsafe impl Plain for Object {}
// SAFETY: integers and raw pointers.
unsafe impl Plain for Function {}
// SAFETY: a raw pointer.
unsafe impl Plain for Provided {}

/// Text of the module's.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Text {
    start: *const u8,
    length: u64,
}

impl Text {
    /// No text. It refers to nothing, so it needs no relocation.
    pub const EMPTY: Self = Self::at(ptr::null(), 0);

    /// Refers to text that lives as long as the module does.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        if text.is_empty() {
            return Self::EMPTY;
        }
        Self::at(text.as_ptr(), text.len() as u64)
    }

    /// Refers to whatever is at an address; the reader has to check that. The
    /// length is in bytes.
    #[must_use]
    pub const fn at(start: *const u8, length: u64) -> Self {
        Self { start, length }
    }

    /// Where it is.
    pub(crate) const fn start(&self) -> *const u8 {
        self.start
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

/// What is patched in one object: the kernel, or another module.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Object {
    /// The module's name; empty for the kernel.
    pub name: Text,
    /// Its functions, as many as `function_count` says.
    pub functions: *const Function,
    /// How many there are.
    pub function_count: u64,
    /// What to call when the object is patched or unpatched.
    pub callbacks: Callbacks,
}

impl Object {
    /// Patches functions of the object of this name.
    #[must_use]
    pub const fn new(
        name: &'static str,
        functions: &'static [Function],
        callbacks: Callbacks,
    ) -> Self {
        Self {
            name: Text::new(name),
            functions: table(functions),
            function_count: functions.len() as u64,
            callbacks,
        }
    }

    const fn is_empty(&self) -> bool {
        self.function_count == 0 && self.callbacks.is_empty()
    }
}

/// A function that belongs to what the module is there for, though nothing in
/// the module needs to reach it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Provided {
    /// The function.
    pub function: *const (),
}

/// The descriptor.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Info {
    /// [`MAGIC`].
    pub magic: u64,
    /// The return convention that the module's functions follow.
    pub convention: u32,
    /// Any of [`FLAGS`].
    pub flags: u32,
    /// The build id of the kernel that the module is for. Zero as compiled;
    /// the packer of the module fills it in.
    pub build_id: [u8; BUILD_ID_BYTES],
    /// The sum of the code that was proved ([`seal`](crate::seal)). Zero as compiled;
    /// the packer, which has proved the module, fills it in.
    pub seal: u32,
    /// The module's name.
    pub name: Text,
    /// What is patched, as many objects as `object_count` says.
    pub objects: *const Object,
    /// How many there are. None in an ordinary module.
    pub object_count: u64,
    /// The system states that the module changes, as many as `state_count` says.
    pub states: *const *const State,
    /// How many there are.
    pub state_count: u64,
    /// Functions that stay in the module, as many as `provided_count` says.
    pub provides: *const Provided,
    /// How many there are.
    pub provided_count: u64,
}

impl Info {
    /// Describes a module of this build's convention, with any of [`FLAGS`]. It patches
    /// `objects`, the first of which is the kernel: left out if nothing is said of it.
    #[must_use]
    pub const fn new(
        name: &'static str,
        flags: u32,
        objects: &'static [Object],
        states: &'static [&'static State],
        provides: &'static [Provided],
    ) -> Self {
        let objects = match objects {
            [kernel, modules @ ..] if kernel.is_empty() => modules,
            all => all,
        };
        Self {
            magic: MAGIC,
            convention: crate::CONVENTION as u32,
            flags,
            build_id: [0; BUILD_ID_BYTES],
            seal: 0,
            name: Text::new(name),
            objects: table(objects),
            object_count: objects.len() as u64,
            // A reference is a pointer.
            states: table(states).cast(),
            state_count: states.len() as u64,
            provides: table(provides),
            provided_count: provides.len() as u64,
        }
    }

    /// Whether the module keeps the kernel's TOC pointer in r2 ([`KERNELS_TOC`]).
    #[must_use]
    pub const fn keeps_kernels_toc(&self) -> bool {
        self.flags & KERNELS_TOC != 0
    }

    /// The return convention, if it is one.
    #[must_use]
    pub fn convention(&self) -> Option<Convention> {
        Convention::from_number(self.convention)
    }
}

/// Where a table is; null if there is nothing in it.
const fn table<T>(entries: &'static [T]) -> *const T {
    if entries.is_empty() {
        return ptr::null();
    }
    entries.as_ptr()
}

// SAFETY: plain data that does not change while the module lives; the pointers
// lead to the module's own constants, and to states, which are atomic.
unsafe impl Sync for Info {}
// SAFETY: as above.
unsafe impl Sync for Object {}
// SAFETY: as above.
unsafe impl Sync for Function {}
// SAFETY: as above.
unsafe impl Sync for Provided {}
