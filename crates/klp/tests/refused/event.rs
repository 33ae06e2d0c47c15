//! There are four callbacks.

klp::module! {
    name: "event",
    callbacks: { patched: told },
}

extern "C" fn told(_: &klp::Context<'_>) {}

fn main() {}
