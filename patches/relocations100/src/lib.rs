//! Nothing but relocations, to measure what one costs: 100 of them in a table.
#![no_std]

klp::module! {
    name: "relocations100",
    replaces: [],
}

extern "C" fn nothing() {}

/// An address each.
#[used]
static TABLE: [extern "C" fn(); 100] = [nothing; 100];
