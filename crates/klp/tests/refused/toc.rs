//! No other TOC can be named.

klp::module! {
    name: "refused",
    toc: own,
}

fn main() {}
