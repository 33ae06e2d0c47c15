//! A patch with a function that does whatever it should not.
#![no_std]

klp::module! {
    name: "test_klp_faulty",
    replaces: ["lab::targets::live::faulty" => faulty],
}

klp::replacement! {
    /// 1: panics. 2: runs into an illegal instruction. 3: overruns its stack.
    pub extern "C" fn faulty(kind: u64) -> u64 {
        match kind {
            1 => panics(),
            2 => illegal(),
            3 => endless(kind),
            _ => kind.wrapping_add(1),
        }
    }
}

#[inline(never)]
fn panics() -> u64 {
    panic!("a replacement has panicked on purpose");
}

/// Calls itself until its own check finds the stack used up. No tail call, so that
/// each call needs a frame.
#[allow(unconditional_recursion, reason = "that is the fault")]
#[inline(never)]
fn endless(depth: u64) -> u64 {
    klp::stack::check();
    core::hint::black_box(endless(core::hint::black_box(depth.wrapping_add(1))))
}

#[inline(never)]
fn illegal() -> u64 {
    #[cfg(target_arch = "powerpc64")]
    // SAFETY: traps, and the thread goes no further.
    unsafe {
        core::arch::asm!(".long 0");
    }
    0
}
