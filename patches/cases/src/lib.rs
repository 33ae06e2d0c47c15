//! What the conformance cases put in the place of the kernel's functions
//! (lab/src). Each returns something that the old one does not.
#![no_std]
#![feature(c_variadic)]

use core::{
    ffi::VaList,
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};
use klp::{Pair, Pinned};

klp::module! {
    name: "cases",
    replaces: [
        "lab::functions::counted" => counted,
        "lab_counted" => counted,
        "lab_leaf" => leaf,
        "lab::functions::sum8" => sum8,
        "lab::functions::sum9" => sum9,
        "lab::functions::sum10" => sum10,
        "lab::functions::sum20" => sum20,
        "lab_variadic" => variadic,
        "lab_variadic_list" => variadic_list,
        "lab_small" => small,
        "lab_medium" => medium,
        "lab_large" => large,
        "lab_hidden" => hidden,
        "lab::functions::pair" => pair,
        "lab::functions::calls_kernel" => calls_kernel,
        "lab::functions::calls_patched" => calls_patched,
        "lab::functions::second" => second,
        "lab::functions::recursive" => recursive,
        "lab::functions::endless" => endless,
        "lab::functions::hold" => hold,
        "lab::functions::patch_state" => patch_state,
        "lab::functions::inside" => inside,
        "lab::functions::look" => look,
    ],
}

unsafe extern "C" {
    safe fn lab_leaf(value: u64) -> u64;
    safe fn lab_second(value: u64) -> u64;
    safe fn lab_twice(value: u64) -> u64;
    safe fn lab_recursive(depth: u64) -> u64;
    safe fn lab_endless(depth: u64) -> u64;
    safe fn lab_note_depth(depth: u64);
    safe fn lab_pause();
    safe fn lab_look_here();
}

/// What is added to what the old functions return: kept in memory, so that each
/// function needs the module's own TOC to get at it. (For all that the compiler knows, it
/// changes: it would make a number of it.)
static MORE: AtomicU64 = AtomicU64::new(1_000_000);

fn more() -> u64 {
    black_box(&MORE).load(Ordering::Relaxed)
}

fn weighted<const N: usize>(values: [u64; N]) -> u64 {
    let all = black_box(values);
    (1..).zip(all).map(|(weight, value)| weight * value).sum()
}

klp::replacement! {
    /// Uses the module's TOC.
    pub extern "C" fn counted(value: u64) -> u64 {
        value + 1 + more()
    }

    /// Of a leaf that has set up no TOC.
    pub extern "C" fn leaf(value: u64) -> u64 {
        value + 1 + more()
    }

    /// Arguments in registers.
    pub extern "C" fn sum8(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64) -> u64 {
        weighted([a, b, c, d, e, f, g, h]) + more()
    }

    /// One on the stack.
    pub extern "C" fn sum9(
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64,
    ) -> u64 {
        weighted([a, b, c, d, e, f, g, h, i]) + more()
    }

    /// Two.
    pub extern "C" fn sum10(
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64, j: u64,
    ) -> u64 {
        weighted([a, b, c, d, e, f, g, h, i, j]) + more()
    }

    /// Twelve.
    pub extern "C" fn sum20(
        a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64, j: u64,
        k: u64, l: u64, m: u64, n: u64, o: u64, p: u64, q: u64, r: u64, s: u64, t: u64,
    ) -> u64 {
        weighted([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t]) + more()
    }

    /// Fixed arguments in the place of variable ones, which are passed alike (ELFv2
    /// 2.2.3.3).
    pub extern "C" fn variadic(
        _count: i32, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64, i: u64, j: u64, k: u64,
    ) -> u64 {
        weighted([a, b, c, d, e, f, g, h, i, j, k]) + more()
    }

    /// A struct of two doublewords.
    pub extern "C" fn small(s: Struct<2>) -> u64 {
        weighted(s.values) + more()
    }

    /// Of three.
    pub extern "C" fn medium(s: Struct<3>) -> u64 {
        weighted(s.values) + more()
    }

    /// Of nine, behind another argument.
    pub extern "C" fn large(first: u64, s: Struct<9>) -> u64 {
        let [a, b, c, d, e, f, g, h, i] = s.values;
        weighted([first, a, b, c, d, e, f, g, h, i]) + more()
    }

    /// Two registers.
    pub extern "C" fn pair(a: u64, b: u64) -> Pair<u64, u64> {
        Pair { first: a + b + more(), second: a - b + more() }
    }

    /// Back into the kernel, and then at data of the module's.
    pub extern "C" fn calls_kernel(value: u64) -> u64 {
        lab_twice(value) + more()
    }

    /// By way of the kernel to another function of this module.
    pub extern "C" fn calls_patched(value: u64) -> u64 {
        lab_second(value) + lab_leaf(value) + more()
    }

    /// Called by the one before.
    pub extern "C" fn second(value: u64) -> u64 {
        value + 2 + more()
    }

    /// By way of the kernel to itself, 1000 more each time.
    pub extern "C" fn recursive(depth: u64) -> u64 {
        if depth == 0 { 0 } else { lab_recursive(depth - 1) + 1000 }
    }

    /// By way of the kernel to itself, until something stops it.
    pub extern "C" fn endless(depth: u64) -> u64 {
        lab_note_depth(depth);
        lab_endless(depth + 1) + more()
    }

    /// Holds no thread.
    pub extern "C" fn hold(_what: *const ()) -> u64 {
        more()
    }

    /// Lets others run meanwhile.
    pub extern "C" fn patch_state() -> u64 {
        klp::thread::yield_now();
        1000
    }

    /// Waits in the kernel.
    pub extern "C" fn inside(value: u64) -> u64 {
        lab_pause();
        value + 1 + more()
    }

    /// Has the kernel look at the stack.
    pub extern "C" fn look(value: u64) -> u64 {
        lab_look_here();
        value + 1 + more()
    }
}

/// So many doublewords.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Struct<const N: usize> {
    values: [u64; N],
}

klp::replacement! {
    /// Through a hidden pointer.
    pub extern "C" fn hidden(first: u64, step: u64) -> hidden Struct<9> {
        let more = more();
        Struct { values: core::array::from_fn(|index| first + index as u64 * step + more) }
    }
}

/// Variable arguments: `va_start` puts those that came in registers where the caller
/// has left room for them, in its parameter save area (ELFv2 2.2.3.3).
///
/// # Safety
/// `count` values of type `u64` follow.
pub unsafe extern "C" fn variadic_list(count: i32, list: ...) -> u64 {
    // The list ends its life in there: nothing may be called after the convention.
    // SAFETY: so many follow, says the caller.
    let sum = unsafe { sum(count, list) };
    Pinned::finish(sum + more())
}

/// # Safety
/// As many values of type `u64` are in the list.
unsafe fn sum(count: i32, mut list: VaList<'_>) -> u64 {
    // SAFETY: as the caller promises.
    (1..=count as u64)
        .map(|weight| weight * unsafe { list.arg::<u64>() })
        .sum()
}
