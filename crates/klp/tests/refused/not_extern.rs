//! Without `extern "C"`, a function is not called as the one that it replaces.

klp::replacement! {
    pub fn leaf(value: u64) -> u64 {
        value
    }
}

fn main() {}
