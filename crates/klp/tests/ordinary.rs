//! What `module!` makes of an ordinary module, which replaces nothing.

klp::module! {
    name: "ordinary",
    provides: [work],
}

extern "C" fn work() {}

#[test]
fn nothing_is_patched() {
    assert_eq!(KLP_INFO.flags, 0);
    assert_eq!((KLP_INFO.object_count, KLP_INFO.state_count), (0, 0));
    assert!(KLP_INFO.objects.is_null() && KLP_INFO.states.is_null());
    assert_eq!(KLP_INFO.provided_count, 1);
    work();
}
