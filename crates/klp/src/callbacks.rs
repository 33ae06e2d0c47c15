//! Callbacks: what a patch module has called before and after an object is patched
//! or unpatched (Linux Documentation/livepatch/callbacks.rst).

use crate::Text;
use core::{marker::PhantomData, slice, str};

/// What a callback is told.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Context<'a> {
    object: Text,
    lives: PhantomData<&'a str>,
}

impl<'a> Context<'a> {
    /// For the object of this name; empty for the kernel.
    #[must_use]
    pub const fn new(object: &'a str) -> Self {
        Self {
            object: Text::at(object.as_ptr(), object.len() as u64),
            lives: PhantomData,
        }
    }

    /// The name of the object that is patched or unpatched: a module's, or
    /// `kernel`.
    #[must_use]
    pub fn object(&self) -> &'a str {
        let (_, length) = self.object.parts();
        if length == 0 {
            return "kernel";
        }
        // SAFETY: `new` alone makes these, of a `str` that lives for `'a`.
        unsafe {
            str::from_utf8_unchecked(slice::from_raw_parts(self.object.start(), length as usize))
        }
    }
}

/// Called before an object is patched. Anything but 0 means that the object can't
/// be patched; then none of the other three is called.
pub type PrePatch = extern "C" fn(&Context<'_>) -> i32;

/// Called when an object has been patched, before it is unpatched, or when it has
/// been.
pub type Callback = extern "C" fn(&Context<'_>);

/// The callbacks of one object. They run in a context that may sleep and
/// allocate, one at a time.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Callbacks {
    /// Before the object's functions are diverted.
    pub pre_patch: Option<PrePatch>,
    /// After all threads have switched to the new functions.
    pub post_patch: Option<Callback>,
    /// Before threads begin to go back to the old functions.
    pub pre_unpatch: Option<Callback>,
    /// After the object's functions are no longer diverted.
    pub post_unpatch: Option<Callback>,
}

impl Callbacks {
    /// None at all.
    pub const NONE: Self = Self {
        pre_patch: None,
        post_patch: None,
        pre_unpatch: None,
        post_unpatch: None,
    };

    /// Whether there is none at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pre_patch.is_none()
            && self.post_patch.is_none()
            && self.pre_unpatch.is_none()
            && self.post_unpatch.is_none()
    }

    /// The name and address of each that there is.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let address = |callback: Callback| callback as usize as u64;
        [
            (
                "pre_patch",
                self.pre_patch.map(|first| first as usize as u64),
            ),
            ("post_patch", self.post_patch.map(address)),
            ("pre_unpatch", self.pre_unpatch.map(address)),
            ("post_unpatch", self.post_unpatch.map(address)),
        ]
        .into_iter()
        .filter_map(|(name, address)| Some((name, address?)))
    }
}
