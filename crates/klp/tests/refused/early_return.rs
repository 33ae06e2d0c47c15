//! A `return` in the body must return the function's type.

klp::replacement! {
    extern "C" fn early(value: u64) -> u64 {
        if value == 0 {
            return "zero";
        }
        value
    }
}

fn main() {}
