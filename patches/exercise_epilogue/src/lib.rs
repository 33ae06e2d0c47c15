//! Exercise 6 (docs/exercises/06-repair.md): a replacement function in assembly. As long as
//! it is not proved, the module is left out of the initrd.
#![no_std]

klp::module! {
    name: "exercise_epilogue",
    replaces: ["selftest::exercises::toll" => exercise_toll],
}

unsafe extern "C" {
    /// What a vehicle pays. Called by the hand-off alone.
    fn exercise_toll(axles: u64, weight: u64) -> u64;
}

#[cfg(target_arch = "powerpc64")]
core::arch::global_asm!(
    ".set BACK_CHAIN, {back_chain}",
    ".set RESERVED, {reserved}",
    ".set LR_SAVE, {lr_save}",
    include_str!("toll.s"),
    back_chain = const core::mem::offset_of!(klp::convention::FrameHeader, back_chain),
    reserved = const core::mem::offset_of!(klp::convention::FrameHeader, reserved),
    lr_save = const core::mem::offset_of!(klp::convention::FrameHeader, lr_save),
);
