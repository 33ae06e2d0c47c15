//! A float is returned in a register that the return convention does not know.

klp::replacement! {
    extern "C" fn float() -> f64 {
        1.0
    }
}

fn main() {}
