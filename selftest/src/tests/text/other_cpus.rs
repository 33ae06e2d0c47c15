//! Words of code that one CPU writes while another runs them. Skipped with one CPU.

use crate::{
    check,
    tests::{common::spawn, goes_on, rounds},
};
use alloc::{format, string::String, sync::Arc};
use core::{
    mem,
    sync::atomic::{AtomicBool, AtomicU64, Ordering, fence},
};
use machine::{
    arch, cpus,
    mm::code::CodeBlock,
    text::{self, Change},
};
use ppc64::insn;
use thread::Handle;

/// How often a word is written where the boot arguments say nothing.
const WRITES: u32 = 5000;

/// A function of two words and a return, which another thread calls all the time.
struct Called {
    block: CodeBlock,
    shared: Arc<Shared>,
    caller: Option<Handle>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// How many calls have begun.
    begun: AtomicU64,
    /// How many have returned.
    returned: AtomicU64,
    /// What the last one has returned.
    last: AtomicU64,
    /// How many have returned [`mixed`] words.
    mixed: AtomicU64,
}

/// The words for a number below 16: the first sets its upper half, the second the lower.
fn words(number: i16) -> [u32; 2] {
    [insn::addi(3, 0, 16 * number), insn::addi(3, 3, number)]
}

/// Whether a result comes of two words that do not belong together.
fn is_mixed(result: u64) -> bool {
    result / 16 != result % 16
}

impl Called {
    fn new() -> core::result::Result<Self, String> {
        let mut block = CodeBlock::new(3).map_err(|error| format!("{error}"))?;
        let start = block.start();
        let [first, second] = words(0);
        // SAFETY: nothing runs in the block.
        unsafe { block.write(&[first, second, insn::BLR]) }.map_err(|error| format!("{error}"))?;
        let shared = Arc::new(Shared::default());
        let its_own = shared.clone();
        let caller = spawn("caller", move || call(start, &its_own))?;
        Ok(Self {
            block,
            shared,
            caller: Some(caller),
        })
    }

    /// Where a word of it is.
    fn place(&self, word: u64) -> u64 {
        self.block.start() + 4 * word
    }

    /// Waits for a call that begins from now on, and returns what it, or one after it, has
    /// returned.
    fn next_result(&self) -> u64 {
        // The call under way may have begun before. The write has ended with a `sync`.
        let wanted = self.shared.begun.load(Ordering::Relaxed) + 1;
        while self.shared.returned.load(Ordering::Acquire) < wanted {
            arch::spin();
        }
        self.shared.last.load(Ordering::Relaxed)
    }
}

impl Drop for Called {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(caller) = self.caller.take() {
            // It can't fault: it runs three instructions of ours.
            let _ = caller.join();
        }
    }
}

fn call(start: u64, shared: &Shared) {
    // SAFETY: three instructions that set r3 and return.
    let function = unsafe { mem::transmute::<u64, extern "C" fn() -> u64>(start) };
    let mut calls = 0;
    while !shared.stop.load(Ordering::Relaxed) {
        calls += 1;
        shared.begun.store(calls, Ordering::Relaxed);
        // Or the call could begin before the other CPU sees that it has.
        fence(Ordering::SeqCst);
        let result = function();
        shared.last.store(result, Ordering::Relaxed);
        let mixed = u64::from(is_mixed(result));
        shared.mixed.fetch_add(mixed, Ordering::Relaxed);
        shared.returned.store(calls, Ordering::Release);
    }
}

/// Writes the second word again and again, each time with what runs now as the other value,
/// and looks whether a call that begins afterwards runs the new word. Returns how often none did.
fn lost(
    write: impl Fn(u64, u32) -> core::result::Result<(), String>,
) -> core::result::Result<u64, String> {
    let called = Called::new()?;
    let mut lost = 0;
    for round in 0..rounds(WRITES) {
        let number = (round % 2) as i16;
        write(called.place(1), insn::addi(3, 3, number))?;
        lost += u64::from(called.next_result() != u64::from(round % 2));
        if round % 256 == 0 {
            goes_on();
        }
    }
    Ok(lost)
}

crate::selftest! {
    /// Once a word is written, every call that begins on another CPU runs it.
    fn written_words_are_run() {
        if cpus::count() == 1 {
            return Ok(());
        }
        let lost = lost(|address, new| {
            let expected = text::read(address);
            // SAFETY: a word of ours, and the other CPU may run the old one or the new one.
            let written = unsafe { text::apply(&[Change { address, expected, new }]) };
            text::sync(&[address]);
            written.map_err(|error| format!("{error}"))
        })?;
        check!(lost == 0, "{lost} words were not run");
        Ok(())
    }

    /// Two words that are written one after the other are run mixed: so a site changes in one.
    fn two_words_are_mixed() {
        if cpus::count() == 1 {
            return Ok(());
        }
        let called = Called::new()?;
        // On a busy host both CPUs may not run at once for a while.
        let mixed = || called.shared.mixed.load(Ordering::Relaxed);
        let least = rounds(WRITES);
        for round in (0..1000 * least).take_while(|&round| round < least || mixed() == 0) {
            let new = words((round % 2) as i16);
            for (word, new) in (0..).zip(new) {
                // SAFETY: words of ours; that they are mixed is what this is about.
                unsafe { text::write_unchecked(called.place(word), new) };
            }
            if round % 256 == 0 {
                goes_on();
            }
        }
        check!(mixed() > 0, "no call of {} ran mixed words", called.shared.returned.load(Ordering::Relaxed));
        Ok(())
    }
}

crate::selftest! {
    control;

    /// The same without the second store: QEMU then loses some. On hardware it would pass.
    fn words_stored_once_are_run() {
        check!(cpus::count() > 1, "there is one CPU");
        let lost = lost(|address, word| {
            // SAFETY: as above.
            unsafe { text::write_unchecked(address, word) };
            cpus::synchronise();
            Ok(())
        })?;
        check!(lost == 0, "{lost} words were not run");
        Ok(())
    }
}
