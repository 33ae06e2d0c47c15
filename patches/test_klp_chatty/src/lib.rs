//! A patch that prints a line, made of several pieces, at each call.
#![no_std]

klp::module! {
    name: "test_klp_chatty",
    replaces: ["demo::bank::balance" => balance],
}

klp::replacement! {
    /// Says what it is asked.
    pub extern "C" fn balance(account: u64, years: u64) -> u64 {
        klp::println!("chatty: {} and {}, {} in all; that is one line", account, years, account + years);
        years
    }
}
