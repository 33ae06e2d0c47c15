//! A patch that attaches values to objects, through shadow variables.
#![no_std]

extern crate alloc;

#[path = "../../test_common.rs"]
mod common;

use alloc::vec::Vec;
use core::{
    ptr,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
};
use klp::{
    kernel::{klp_shadow_alloc, klp_shadow_get_or_alloc},
    shadow::Shadow,
};

klp::module! {
    name: "test_klp_shadow_vars",
    replaces: ["lab::targets::live::annotate" => annotate],
}

/// A value that is counted while it lives.
struct Watched(AtomicU64);

/// How many there are.
static ALIVE: AtomicI64 = AtomicI64::new(0);

impl Watched {
    fn new(value: u64) -> Self {
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Self(AtomicU64::new(value))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A value that owns memory.
struct Owner(Vec<u64>);

/// How many were made, and how many dropped.
static MADE: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

impl Owner {
    /// Takes its time, so that others get their turn meanwhile.
    fn new(value: u64) -> Self {
        MADE.fetch_add(1, Ordering::Relaxed);
        let owner = Self(alloc::vec![value; 1000]);
        let start = klp::kernel::ticks();
        while klp::kernel::ticks() - start < 20 {
            core::hint::spin_loop();
        }
        owner
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: no other code uses these numbers.
const FIRST: Shadow<Watched> = unsafe { Shadow::new(0x1234) };
// SAFETY: as above.
const SECOND: Shadow<AtomicU64> = unsafe { Shadow::new(0x1235) };
// SAFETY: as above.
const OWNED: Shadow<Owner> = unsafe { Shadow::new(0x1236) };

/// A constructor that refuses odd values.
extern "C" fn even_only(value: *mut u8, wanted: *mut ()) -> i32 {
    let wanted = wanted.addr() as u64;
    if !wanted.is_multiple_of(2) {
        return -22;
    }
    // SAFETY: the kernel has made room for a `Watched`.
    unsafe { value.cast::<Watched>().write(Watched::new(wanted)) };
    0
}

fn value_of(found: Option<&Watched>) -> i64 {
    found.map_or(-2, |found| found.0.load(Ordering::Relaxed) as i64)
}

klp::replacement! {
    /// What `what` says, to the object at this address; -2 if there is no value.
    pub extern "C" fn annotate(object: u64, what: u64, value: u64) -> i64 {
        let object: *const () = ptr::without_provenance(object as usize);
        let (size, align) = (size_of::<Watched>(), align_of::<Watched>());
        let wanted = ptr::without_provenance_mut(value as usize);
        match what {
            0 => value_of(FIRST.get(object)),
            1 => value_of(FIRST.alloc(object, || Watched::new(value))),
            2 => value_of(FIRST.get_or_init(object, || Watched::new(value))),
            3 => {
                // SAFETY: no reference is kept.
                unsafe { FIRST.free(object) };
                0
            }
            4 => {
                // SAFETY: as above.
                unsafe { FIRST.free_all() };
                0
            }
            5 => SECOND.get(object).map_or(-2, |found| found.load(Ordering::Relaxed) as i64),
            6 => SECOND.alloc(object, || AtomicU64::new(value)).map_or(-2, |_| value as i64),
            7 => {
                // SAFETY: as above.
                unsafe { SECOND.free_all() };
                0
            }
            8 | 9 => {
                let make = if what == 8 { klp_shadow_alloc } else { klp_shadow_get_or_alloc };
                // SAFETY: `even_only` makes what `FIRST` stands for.
                let made = unsafe { make(object, 0x1234, size, align, Some(even_only), wanted) };
                // SAFETY: null, or a `Watched`.
                value_of(unsafe { made.cast::<Watched>().as_ref() })
            }
            10 => {
                let Some(found) = FIRST.get(object) else { return -2 };
                found.0.fetch_add(value, Ordering::Relaxed) as i64
            }
            11 => ALIVE.load(Ordering::Relaxed),
            12 => OWNED.get_or_init(object, || Owner::new(value)).map_or(-2, |found| found.0[0] as i64),
            13 => MADE.swap(0, Ordering::Relaxed) as i64,
            14 => DROPPED.swap(0, Ordering::Relaxed) as i64,
            15 => {
                // SAFETY: as above.
                unsafe { OWNED.free(object) };
                0
            }
            16 => SECOND.get_or_init(object, || AtomicU64::new(bad(object, value))).map_or(-2, |_| 0),
            _ => -3,
        }
    }
}

/// What a constructor does when it has slept at the kernel's gate, which it may. 1: asks for
/// a variable of another object. 2: panics.
#[inline(never)]
fn bad(object: *const (), kind: u64) -> u64 {
    common::test_stay(common::ASLEEP);
    match kind {
        1 => {
            let other = object.wrapping_byte_add(1);
            value_of(FIRST.get_or_init(other, || Watched::new(1))) as u64
        }
        2 => panic!("a constructor has panicked on purpose"),
        _ => kind,
    }
}
