//! What a debugger is told, which calls the kernel's view of itself while all is halted.

use crate::check;
use alloc::{borrow::ToOwned, format, string::String};
use core::{
    ffi::{CStr, c_char},
    hint, mem,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use machine::arch;

unsafe extern "C" {
    static KLP_DEBUGGER_VIEW: AtomicU64;
    static KLP_DEBUGGER_TEXT: AtomicU64;
}

/// The table of threads, asked for as the scripts for gdb do.
fn threads() -> Result<String, String> {
    /// The number of that table.
    const THREADS: u64 = 0;
    let _halted = arch::interrupts_off();
    // SAFETY: `debugger::start` has left the addresses of the view, which is of this type,
    // and of its text there.
    let (view, text) = unsafe {
        let view = KLP_DEBUGGER_VIEW.load(Ordering::Relaxed) as usize;
        let view = mem::transmute::<usize, extern "C" fn(u64, u64) -> u64>(view);
        (
            view,
            KLP_DEBUGGER_TEXT.load(Ordering::Relaxed) as *const c_char,
        )
    };
    let next = view(THREADS, 0);
    check!(next == 0, "not all threads fit");
    // SAFETY: the view ends its text with a zero, and nothing calls it meanwhile.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str()
        .map(ToOwned::to_owned)
        .map_err(|error| format!("{error}"))
}

crate::selftest! {
    one_cpu;

    /// A thread's line says whether it runs, waits, or was interrupted.
    fn threads_are_shown_with_their_states() {
        static END: AtomicBool = AtomicBool::new(false);
        END.store(false, Ordering::Relaxed);
        let spins = thread::spawn("spins", || {
            while !END.load(Ordering::Relaxed) {
                hint::spin_loop();
            }
        });
        let spins = spins.map_err(|error| format!("{error}"))?;
        // It never gives way: only a tick gives the CPU back.
        thread::sleep(Duration::from_millis(5));
        let text = threads();
        END.store(true, Ordering::Relaxed);
        spins.join().map_err(|error| format!("{error}"))?;
        let text = text?;
        for (name, state) in [("main", "running"), ("idle", "asleep"), ("spins", "preempted")] {
            let words = |line: &str| line.split_whitespace().skip(1).take(2).eq([name, state]);
            check!(text.lines().any(words), "`{name}` is not {state}:\n{text}");
        }
        Ok(())
    }
}
