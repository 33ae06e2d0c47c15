//! What the kernel exports to modules.

use core::{
    alloc::{GlobalAlloc, Layout},
    fmt::{self, Write},
    panic::PanicInfo,
};

unsafe extern "C" {
    /// Prints `length` bytes of UTF-8 at `text` to the console.
    fn klp_print(text: *const u8, length: usize);
    /// Allocates memory; null if there is none.
    fn klp_allocate(size: usize, align: usize) -> *mut u8;
    /// Frees what `klp_allocate` gave for this size and alignment.
    fn klp_deallocate(block: *mut u8, size: usize, align: usize);
    /// Ends in the kernel's panic, with a message.
    fn klp_panic(text: *const u8, length: usize) -> !;
    /// Ticks since boot.
    safe fn klp_ticks() -> u64;
    /// The kernel's victim `rust_twice`.
    pub safe fn rust_twice(value: i64) -> i64;
    /// The kernel's victim `c_leaf`.
    pub safe fn c_leaf(value: i64) -> i64;
}

/// Ticks since boot.
#[must_use]
pub fn ticks() -> u64 {
    klp_ticks()
}

/// Writes to the console.
#[derive(Debug)]
pub struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: text is UTF-8 of this length, and the kernel only reads it.
        unsafe { klp_print(text.as_ptr(), text.len()) };
        Ok(())
    }
}

/// Prints a line to the kernel's console.
#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => {{
        use core::fmt::Write as _;
        // The console takes everything.
        let _ = writeln!($crate::kernel::Console, $($argument)*);
    }};
}

/// The kernel's heap. [`module!`](crate::module) makes it the module's.
#[derive(Debug)]
pub struct KernelHeap;

// SAFETY: the kernel's heap is one, and its functions do what `GlobalAlloc` asks.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: size and alignment are those of a layout.
        unsafe { klp_allocate(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: allocated above, with this layout.
        unsafe { klp_deallocate(block, layout.size(), layout.align()) }
    }
}

/// Text of a fixed size; what does not fit is cut off.
struct Message {
    bytes: [u8; 256],
    used: usize,
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.used..];
        let mut fits = text.len().min(room.len());
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.used += fits;
        Ok(())
    }
}

/// A module's panic is the kernel's.
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    let mut message = Message {
        bytes: [0; 256],
        used: 0,
    };
    // Cutting off is all that can go wrong.
    let _ = write!(message, "{info}");
    // SAFETY: the message is UTF-8 of this length.
    unsafe { klp_panic(message.bytes.as_ptr(), message.used) }
}
