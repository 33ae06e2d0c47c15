//! A patch that hangs the kernel: a thread that does not give way is never interrupted
//! for another one. Ticks come as before.
#![no_std]

klp::module! {
    name: "test_klp_hangs",
    replaces: ["thread::scheduler::preempt" => preempt],
}

klp::replacement! {
    /// Lets the thread that was interrupted keep the CPU.
    pub extern "C" fn preempt() {}
}
