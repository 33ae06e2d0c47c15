//! The image of the laboratory.
#![no_std]
#![no_main]

/// Where the boot stage hands over.
#[unsafe(no_mangle)]
fn kernel_main(info: boot::BootInfo) -> ! {
    init::start(&info, &lab::IMAGE)
}
