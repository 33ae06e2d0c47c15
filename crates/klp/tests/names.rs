//! A module has the name of its crate.

use klp::info::must_be_the_crates;

#[test]
fn the_crates_name_is_taken() {
    must_be_the_crates("", "");
    must_be_the_crates("two_percent", "two_percent");
}

#[test]
#[should_panic(expected = "is not the crate's")]
fn another_is_refused() {
    must_be_the_crates("two_percent", "two_parcent");
}

#[test]
#[should_panic(expected = "is not the crate's")]
fn a_longer_one_is_refused() {
    must_be_the_crates("two_percent", "two_per");
}
