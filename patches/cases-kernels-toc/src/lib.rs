//! What conformance cases put in the place of the kernel's functions by every variant alike:
//! r2 is the kernel's in all of this.
#![no_std]

use core::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};

klp::module! {
    name: "cases-kernels-toc",
    toc: kernel,
    replaces: [
        "lab::functions::counted" => counted,
        "lab_counted" => counted,
        "lab_leaf" => leaf,
        "lab::functions::calls_kernel" => calls_kernel,
        "lab::functions::calls_patched" => calls_patched,
        "lab::functions::second" => second,
        "lab::functions::recursive" => recursive,
        "lab::functions::hold" => hold,
        "lab::functions::inside" => inside,
    ],
}

unsafe extern "C" {
    safe fn lab_leaf(value: u64) -> u64;
    safe fn lab_second(value: u64) -> u64;
    safe fn lab_twice(value: u64) -> u64;
    safe fn lab_recursive(depth: u64) -> u64;
    safe fn lab_pause();
}

/// What is added to what the old functions return: in the module's memory, which the
/// kernel's TOC pointer leads to. (For all that the compiler knows, it changes.)
static MORE: AtomicU64 = AtomicU64::new(2_000_000);

fn more() -> u64 {
    black_box(&MORE).load(Ordering::Relaxed)
}

klp::replacement! {
    /// Uses data of the module's.
    pub extern "C" fn counted(value: u64) -> u64 {
        value + 1 + more()
    }

    /// Of a leaf that has set up no TOC.
    pub extern "C" fn leaf(value: u64) -> u64 {
        value + 1 + more()
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

    /// By way of the kernel to itself.
    pub extern "C" fn recursive(depth: u64) -> u64 {
        if depth == 0 { 0 } else { lab_recursive(depth - 1) + more() }
    }

    /// Holds no thread.
    pub extern "C" fn hold(_what: *const ()) -> u64 {
        more()
    }

    /// Waits in the kernel.
    pub extern "C" fn inside(value: u64) -> u64 {
        lab_pause();
        value + 1 + more()
    }
}
