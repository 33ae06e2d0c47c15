//! Replaces a function by force, so that this module stays for good.
#![no_std]

klp::module! {
    // The kernel counts the last character up each time that it loads this.
    name: "cases-forced-0",
    replaces: ["lab::functions::recursive" => recursive],
}

unsafe extern "C" {
    safe fn lab_recursive(depth: u64) -> u64;
}

klp::replacement! {
    /// By way of the kernel to itself, 1000 more each time.
    pub extern "C" fn recursive(depth: u64) -> u64 {
        if depth == 0 { 0 } else { lab_recursive(depth - 1) + 1000 }
    }
}
