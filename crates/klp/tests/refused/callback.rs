//! A callback must have a callback's type.

klp::module! {
    name: "callback",
    callbacks: { pre_patch: told },
}

extern "C" fn told(_: &klp::Context<'_>) {}

fn main() {}
