//! A large struct is returned through a hidden pointer, which must be said.

#[repr(C)]
struct Large {
    words: [u64; 3],
}

klp::replacement! {
    extern "C" fn large() -> Large {
        Large { words: [1, 2, 3] }
    }
}

fn main() {}
