//! What a replacement function can't return does not compile, and the message
//! says why.

#[test]
fn what_cant_be_pinned_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
