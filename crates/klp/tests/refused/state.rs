//! A state is a static of its type.

static CONSOLE: u64 = 1;

klp::module! {
    name: "state",
    states: [CONSOLE],
}

fn main() {}
