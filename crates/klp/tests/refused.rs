//! What can't be described, or returned, does not compile, and the message
//! says why.

#[test]
fn what_cant_work_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
