//! A reference to text is two words, but not in the ABI's terms.

klp::replacement! {
    extern "C" fn text() -> &'static str {
        "text"
    }
}

fn main() {}
