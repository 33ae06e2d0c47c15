//! What the kernel exports to modules. [`shadow`](crate::shadow),
//! [`state`](crate::state) and [`thread`](crate::thread) make some of it safe, and
//! name it better.

use crate::State;
use core::{
    alloc::{GlobalAlloc, Layout},
    fmt::{self, Write},
    panic::PanicInfo,
};

/// Makes the value of a shadow variable: gets room for it, and the maker's data.
/// Anything but 0 means that there shall be none.
pub type Constructor = extern "C" fn(*mut u8, *mut ()) -> i32;

/// Drops the value of a shadow variable: gets the object, and the value.
pub type Destructor = extern "C" fn(*const (), *mut u8);

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
    /// The value that is attached to an object under this id; null if there is
    /// none.
    pub safe fn klp_shadow_get(object: *const (), id: u64) -> *mut u8;
    /// Attaches a value of so many bytes to an object and returns it; null if it has
    /// one of this id already, if there is no memory, if `init` refused, or if another
    /// value is being made and the caller can't wait, as [`crate::shadow`] says.
    ///
    /// # Safety
    /// `size` is not 0, `align` is a power of two, and `init` may be called with
    /// room of that size and alignment and `init_data`.
    pub unsafe fn klp_shadow_alloc(
        object: *const (),
        id: u64,
        size: usize,
        align: usize,
        init: Option<Constructor>,
        init_data: *mut (),
    ) -> *mut u8;
    /// The value that is attached to an object under this id; if there is none, as
    /// [`klp_shadow_alloc`].
    ///
    /// # Safety
    /// As for [`klp_shadow_alloc`].
    pub unsafe fn klp_shadow_get_or_alloc(
        object: *const (),
        id: u64,
        size: usize,
        align: usize,
        init: Option<Constructor>,
        init_data: *mut (),
    ) -> *mut u8;
    /// Takes the value of this id away from an object, if it has one, and frees it
    /// after `drop` was called.
    ///
    /// # Safety
    /// The value is no longer in use, and it is one that `drop` may be called with.
    pub unsafe fn klp_shadow_free(object: *const (), id: u64, drop: Option<Destructor>);
    /// The same for all objects.
    ///
    /// # Safety
    /// As for [`klp_shadow_free`], of all values of this id.
    pub unsafe fn klp_shadow_free_all(id: u64, drop: Option<Destructor>);
    /// The state of this id in the newest patch that was enabled before the one
    /// that asks; null if there is none. It lies in that patch's module.
    pub safe fn klp_previous_state(id: u32) -> *const State;
    /// Lets the running thread switch to another patch state.
    pub safe fn klp_safe_point();
    /// Lets other threads run.
    pub safe fn klp_yield();
    /// Sleeps for at least so many milliseconds.
    pub safe fn klp_sleep(milliseconds: u64);
    /// Puts the running thread's name, as far as there is room, into a buffer and
    /// returns how many bytes that are.
    ///
    /// # Safety
    /// `buffer` is room for `room` bytes, which no other code uses.
    pub unsafe fn klp_thread_name(buffer: *mut u8, room: usize) -> usize;
    /// The laboratory's `rust_twice`.
    pub safe fn rust_twice(value: i64) -> i64;
    /// The laboratory's `c_leaf`.
    pub safe fn c_leaf(value: i64) -> i64;
}

/// Ticks since boot.
#[must_use]
pub fn ticks() -> u64 {
    klp_ticks()
}

/// Writes to the console, piece by piece: what other threads print may come in between.
#[derive(Debug)]
pub struct Console;

impl Write for Console {
    // Inline, as all that calls a function of the kernel: the kernel itself links this crate.
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: text is UTF-8 of this length, and the kernel only reads it.
        unsafe { klp_print(text.as_ptr(), text.len()) };
        Ok(())
    }
}

/// Longest line that is printed in one piece, in bytes.
const LINE: usize = 160;

/// A line that is printed when it is whole, or as far as it has room.
struct Line {
    text: [u8; LINE],
    used: usize,
}

impl Line {
    #[inline]
    fn print(&mut self) {
        // SAFETY: whole `&str`s were copied to here, and the kernel only reads them.
        unsafe { klp_print(self.text.as_ptr(), self.used) };
        self.used = 0;
    }
}

impl Write for Line {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > LINE - self.used {
            self.print();
        }
        match self.text.get_mut(self.used..self.used + text.len()) {
            Some(room) => {
                room.copy_from_slice(text.as_bytes());
                self.used += text.len();
                Ok(())
            }
            None => Console.write_str(text),
        }
    }
}

/// Prints a line, with a line break. What other threads print does not cut through it, if
/// it has no more than 160 bytes.
#[inline]
pub fn print_line(arguments: fmt::Arguments<'_>) {
    let mut line = Line {
        text: [0; LINE],
        used: 0,
    };
    // The console takes everything.
    let _ = line
        .write_fmt(arguments)
        .and_then(|()| line.write_str("\n"));
    line.print();
}

/// Prints a line to the kernel's console.
#[macro_export]
macro_rules! println {
    ($($argument:tt)*) => {
        $crate::kernel::print_line(format_args!($($argument)*))
    };
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
