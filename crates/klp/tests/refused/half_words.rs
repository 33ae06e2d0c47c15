//! The halves of a pair fill a register each.

klp::replacement! {
    extern "C" fn halves() -> klp::Pair<u32, u32> {
        klp::Pair { first: 1, second: 2 }
    }
}

fn main() {
    halves();
}
