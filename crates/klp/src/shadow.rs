//! Shadow variables: values that a patch attaches to objects that have no room for
//! them (Linux Documentation/livepatch/shadow-vars.rst).

use crate::kernel::{
    Constructor, Destructor, klp_shadow_alloc, klp_shadow_free, klp_shadow_free_all,
    klp_shadow_get, klp_shadow_get_or_alloc,
};
use core::marker::PhantomData;

/// A kind of shadow variable: a `T` for each object that was given one. The object
/// is known by its address and never looked at.
#[derive(Clone, Copy, Debug)]
pub struct Shadow<T> {
    id: u64,
    values: PhantomData<fn() -> T>,
}

impl<T: Send + Sync + 'static> Shadow<T> {
    /// The kind of this number.
    ///
    /// # Safety
    /// All modules that use this number use it for this type, of the same layout
    /// and meaning.
    #[must_use]
    pub const unsafe fn new(id: u64) -> Self {
        Self {
            id,
            values: PhantomData,
        }
    }

    /// The object's value, if it has one.
    #[inline]
    pub fn get<O>(&self, object: *const O) -> Option<&'static T> {
        let value = klp_shadow_get(object.cast(), self.id);
        // SAFETY: null, or what one of the functions below has made: a `T`, by the
        // promise of `new`, that lives until `free`, by the promise there.
        unsafe { value.cast::<T>().as_ref() }
    }

    /// Gives the object the value that `init` makes. None if it has one already, if
    /// there is no memory, or if another value is being made and the caller can't wait
    /// for that: with interrupts off, or in an interrupt handler.
    ///
    /// `init` runs once, and no other thread makes a value meanwhile: those that want to
    /// sleep. It may sleep too, and may [`get`](Self::get) and [`free`](Self::free)
    /// other values.
    ///
    /// # Panics
    /// When `init` itself calls this or [`Self::get_or_init`].
    #[inline]
    pub fn alloc<O>(&self, object: *const O, init: impl FnOnce() -> T) -> Option<&'static T> {
        self.made_by(klp_shadow_alloc, object.cast(), init)
    }

    /// The object's value; if it has none, the one that `init` makes, as for
    /// [`Self::alloc`]. Never None for a value that exists.
    ///
    /// # Panics
    /// When called by an `init`, as [`Self::alloc`].
    #[inline]
    pub fn get_or_init<O>(&self, object: *const O, init: impl FnOnce() -> T) -> Option<&'static T> {
        self.made_by(klp_shadow_get_or_alloc, object.cast(), init)
    }

    #[inline]
    fn made_by<F: FnOnce() -> T>(
        &self,
        maker: Maker,
        object: *const (),
        init: F,
    ) -> Option<&'static T> {
        let mut init = Some(init);
        let data = (&raw mut init).cast();
        // SAFETY: size and alignment do for a `T`, and `construct` takes what
        // `data` points at, which lives until this returns.
        let value = unsafe {
            maker(
                object,
                self.id,
                size_of::<T>().max(1),
                align_of::<T>(),
                Some(construct::<T, F>),
                data,
            )
        };
        // SAFETY: as for `get`.
        unsafe { value.cast::<T>().as_ref() }
    }

    /// Takes the object's value away and drops it, if it has one.
    ///
    /// # Safety
    /// No reference to it is used any more.
    #[inline]
    pub unsafe fn free<O>(&self, object: *const O) {
        // SAFETY: values of this kind are of type `T`.
        unsafe { klp_shadow_free(object.cast(), self.id, Self::DROP) }
    }

    /// Takes the values of all objects away and drops them; not one that is still
    /// being made.
    ///
    /// # Safety
    /// No reference to any of them is used any more.
    #[inline]
    pub unsafe fn free_all(&self) {
        // SAFETY: values of this kind are of type `T`.
        unsafe { klp_shadow_free_all(self.id, Self::DROP) }
    }

    const DROP: Option<Destructor> = if core::mem::needs_drop::<T>() {
        Some(destruct::<T>)
    } else {
        None
    };
}

/// One of the kernel's two functions that make a value.
type Maker =
    unsafe extern "C" fn(*const (), u64, usize, usize, Option<Constructor>, *mut ()) -> *mut u8;

/// Writes a new value to `value`. `data` points at an `Option<F>` with the function
/// that makes it.
extern "C" fn construct<T, F: FnOnce() -> T>(value: *mut u8, data: *mut ()) -> i32 {
    // SAFETY: `made_by` passes its own variable, and waits.
    let Some(init) = (unsafe { (*data.cast::<Option<F>>()).take() }) else {
        return 1;
    };
    // SAFETY: the kernel has made room for a `T` there, as it was asked to.
    unsafe { value.cast::<T>().write(init()) };
    0
}

/// Drops the value at `value`.
extern "C" fn destruct<T>(_: *const (), value: *mut u8) {
    // SAFETY: `construct` has made it, and the kernel has taken it away from its
    // object, so this is the only time.
    unsafe { value.cast::<T>().drop_in_place() }
}
