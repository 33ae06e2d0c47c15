//! Nothing but relocations, to measure what one costs: 1000 of them in a table.
#![no_std]

klp::module! {
    name: "relocations1000",
    replaces: [],
}

extern "C" fn nothing() {}

/// An address each.
#[used]
static TABLE: [extern "C" fn(); 1000] = [nothing; 1000];
