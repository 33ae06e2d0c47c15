//! Values that a replacement function can return: those in known registers, so
//! that the return convention can hold on to them.

use crate::epilogue;

/// A value that is returned in r3, or in r3 and r4 (ELFv2 2.2.4).
#[diagnostic::on_unimplemented(
    message = "a replacement function can't return `{Self}`: it is not returned in general registers",
    label = "not an integer, a pointer, a bool, a `klp::Pair` of those, or nothing",
    note = "for a struct of more than 16 bytes, write `-> hidden {Self}`: it is then returned through a hidden pointer"
)]
pub trait Pinned: Sized {
    /// Follows the return convention with the value in its registers. The last
    /// thing that a replacement function does.
    #[must_use]
    fn finish(self) -> Self;
}

/// A value that fills a general register, or part of one.
pub trait Word: Copy {
    /// As it is in the register.
    fn into_register(self) -> u64;
    /// Back from the register.
    fn from_register(register: u64) -> Self;
}

/// A [`Word`] that fills its register: half of a [`Pair`].
pub trait FullWord: Word {}

impl<T: Word> Pinned for T {
    #[inline(always)]
    fn finish(self) -> Self {
        #[allow(unused_mut, reason = "the host has no such registers")]
        let mut register = self.into_register();
        epilogue!(inlateout("r3") register);
        T::from_register(register)
    }
}

/// No value.
impl Pinned for () {
    #[inline(always)]
    fn finish(self) -> Self {
        epilogue!();
    }
}

/// Two values in two registers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Pair<A, B> {
    /// In r3.
    pub first: A,
    /// In r4.
    pub second: B,
}

impl<A: FullWord, B: FullWord> Pinned for Pair<A, B> {
    #[inline(always)]
    fn finish(self) -> Self {
        #[allow(unused_mut, reason = "the host has no such registers")]
        let (mut first, mut second) = (self.first.into_register(), self.second.into_register());
        epilogue!(inlateout("r3") first, inlateout("r4") second);
        Self {
            first: A::from_register(first),
            second: B::from_register(second),
        }
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Word for $integer {
            #[inline(always)]
            fn into_register(self) -> u64 {
                // Sign or zero extended, as the ABI asks for (ELFv2 2.2.3).
                self as i64 as u64
            }

            #[inline(always)]
            fn from_register(register: u64) -> Self {
                register as Self
            }
        }
    )*};
}

integers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

impl FullWord for u64 {}
impl FullWord for i64 {}
impl FullWord for usize {}
impl FullWord for isize {}

impl Word for bool {
    #[inline(always)]
    fn into_register(self) -> u64 {
        u64::from(self)
    }

    #[inline(always)]
    fn from_register(register: u64) -> Self {
        register != 0
    }
}

macro_rules! pointers {
    ($($pointer:ty)*) => {$(
        impl<T> Word for $pointer {
            #[inline(always)]
            fn into_register(self) -> u64 {
                self.expose_provenance() as u64
            }

            #[inline(always)]
            fn from_register(register: u64) -> Self {
                core::ptr::with_exposed_provenance_mut::<T>(register as usize) as $pointer
            }
        }
    )*};
}

pointers!(*const T *mut T);

impl<T> FullWord for *const T {}
impl<T> FullWord for *mut T {}
