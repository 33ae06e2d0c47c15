//! A module that keeps the kernel's TOC.

use klp::info;

klp::module! {
    name: "kernels_toc",
    toc: kernel,
    replace: true,
    replaces: ["kernel::x" => x],
}

klp::replacement! {
    extern "C" fn x(value: u64) -> u64 {
        value + 1
    }
}

#[test]
fn the_flag_is_in_the_descriptor_beside_others() {
    assert_eq!(KLP_INFO.flags, info::REPLACE | info::KERNELS_TOC);
    assert!(KLP_INFO.keeps_kernels_toc());
    let plain = klp::Info::new("", info::REPLACE, &[], &[], &[]);
    assert!(!plain.keeps_kernels_toc());
}
