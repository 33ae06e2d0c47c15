//! The console as its users share it: a table that one of them prints stays in one piece.

use super::terminal::Terminal;
use crate::{arch, platform, time};
use core::{
    fmt::{self, Write},
    time::Duration,
};

/// Bytes that wait behind a piece. More are printed at once, and cut through it.
const ROOM: usize = 4096;

/// How long a piece can be. A thread may not end its piece in time, because a fault has
/// stopped it or it waits for something. It then delays the others no longer.
const LONGEST: Duration = Duration::from_secs(1);

/// A piece that is being printed.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// The thread that prints it.
    owner: u64,
    /// How many guards there are: pieces may lie in one another.
    depth: u32,
    /// When it ends at the latest, in timebase ticks.
    until: u64,
}

/// The console's terminal, and what waits for it.
#[derive(Debug)]
pub struct Shared {
    pub terminal: Terminal,
    open: Option<Open>,
    waiting: [u8; ROOM],
    used: usize,
}

impl Shared {
    pub const fn new(terminal: Terminal) -> Self {
        Self {
            terminal,
            open: None,
            waiting: [0; ROOM],
            used: 0,
        }
    }

    /// Begins a piece, or one more within that of the same thread. Says whether it did: a
    /// piece of another thread is not joined.
    pub fn begin(&mut self) -> bool {
        let owner = arch::current();
        match &mut self.open {
            Some(open) if open.owner == owner => open.depth += 1,
            Some(open) if arch::timebase() < open.until => return false,
            _ if platform::try_get().is_none() => return false,
            _ => {
                self.release();
                self.open = Some(Open {
                    owner,
                    depth: 1,
                    until: arch::timebase() + time::timebase_ticks(LONGEST),
                });
            }
        }
        true
    }

    /// Ends a piece of the running thread.
    pub fn end(&mut self) {
        if let Some(open) = &mut self.open
            && open.owner == arch::current()
        {
            open.depth -= 1;
            if open.depth == 0 {
                self.release();
            }
        }
    }

    /// Ends whatever piece there is, and prints what has waited.
    pub fn release(&mut self) {
        self.open = None;
        let used = core::mem::take(&mut self.used);
        self.terminal.write(&self.waiting[..used.min(ROOM)]);
        self.terminal.flush();
    }

    /// Prints, or lets the text wait for the end of another thread's piece.
    pub fn print(&mut self, arguments: fmt::Arguments<'_>) {
        let is_others = |open: Open| open.owner != arch::current() && arch::timebase() < open.until;
        // A terminal takes everything; only a Display impl could report an error,
        // and then its text is missing, which is all there is to say about it.
        if self.open.is_some_and(is_others) {
            let _ = Waiting(self).write_fmt(arguments);
        } else {
            if self.open.is_some_and(|open| open.owner != arch::current()) {
                self.release();
            }
            let _ = self.terminal.write_fmt(arguments);
            self.terminal.flush();
        }
    }
}

/// Text that waits.
struct Waiting<'a>(&'a mut Shared);

impl Write for Waiting<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Self(shared) = self;
        let end = shared.used + text.len();
        if let Some(room) = shared.waiting.get_mut(shared.used..end) {
            room.copy_from_slice(text.as_bytes());
            shared.used = end;
        } else {
            // The piece goes on, cut once.
            let open = shared.open;
            shared.release();
            shared.open = open;
            shared.terminal.write(text.as_bytes());
            shared.terminal.flush();
        }
        Ok(())
    }
}
