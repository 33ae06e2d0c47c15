//! An ordinary module that patches have callbacks for.
#![no_std]

klp::module! {
    name: "test_klp_callbacks_mod",
    provides: [idle],
}

/// Nothing to patch here.
pub extern "C" fn idle() {}
