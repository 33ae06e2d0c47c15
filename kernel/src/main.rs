//! The kernel's image: the library, with the symbol that the boot stage calls.
#![no_std]
#![no_main]

/// Where the boot stage hands over.
#[unsafe(no_mangle)]
fn kernel_main(info: boot::BootInfo) -> ! {
    kernel::start(&info)
}
