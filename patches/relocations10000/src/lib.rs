//! Nothing but relocations, to measure what one costs: 10000 of them in a table.
#![no_std]

klp::module! {
    name: "relocations10000",
    replaces: [],
}

extern "C" fn nothing() {}

/// An address each.
#[used]
static TABLE: [extern "C" fn(); 10000] = [nothing; 10000];
