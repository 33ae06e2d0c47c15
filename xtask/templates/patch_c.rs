//! Which functions this patch replaces. They are written in C: my_patch.c.
#![no_std]

klp::module! {
    name: "my_patch",
    replaces: ["demo::bank::balance" => balance],
}

unsafe extern "C" {
    fn balance(account: u64, years: u64) -> u64;
}
