//! Which functions this patch replaces. They are written in C: my_patch.c.
#![no_std]

klp::module! {
    name: "my_patch",
    replaces: ["lab::targets::leaf" => leaf],
}

unsafe extern "C" {
    fn leaf(value: u64) -> u64;
}
