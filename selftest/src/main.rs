//! The image of the tests in the kernel.
#![no_std]
#![no_main]

/// Where the boot stage hands over.
#[unsafe(no_mangle)]
fn kernel_main(info: boot::BootInfo) -> ! {
    init::start(&info, &selftest::IMAGE)
}
