//! Random lines for the editor and the interpreter: whatever is typed, the kernel goes
//! on, and has lost nothing when all is put back.
//!
//! `lines` makes the lines up; here they are typed, and what they leave is put back.

mod lines;

use alloc::{format, vec::Vec};
use core::fmt::{self, Write};
use demo::bank;
use lab::targets::live;
use lineedit::{Editor, Event};
use lines::Lines;
use machine::{console, fault, mm};
use shell::{CommandError, Out, Outcome, Session, complete, input, workload};

/// Of so many lines, one is looked at as the first of those to compare memory with:
/// tables have grown to their size by then.
const WARM_UP: u64 = 4;

/// Bytes that the heap may hold more of afterwards: tables that grow now and then. A
/// line in a thousand that lost anything would lose more.
const SLACK: usize = 16 * 1024;

/// Bytes that a thread holds after its call has faulted: what it was to call, and with
/// what.
const STOPPED_HOLDS: usize = 512;

/// Threads that may be there at a time, or nothing else would have its turn.
const MEMBERS: usize = 4;

/// What makes tables grow to their size: the module with the most functions, and the
/// counters of all sites.
const LARGEST: &str =
    "enable soak1000; trace hits; trace off; reset; step leaf traced; step leaf transition";

/// A patch that hangs the kernel on purpose, so that no line may name it.
const HANGS: &str = "test_klp_hangs";

/// What the lines come to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Lines that were given.
    pub lines: u64,
    /// Those of which something has failed, as of most it should.
    pub failed: usize,
    /// How often each command was run or refused.
    pub tried: Vec<(&'static str, u64)>,
}

/// Shows nothing.
struct Nowhere;

impl Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

/// Memory that is in use.
#[derive(Debug)]
struct Memory {
    heap: usize,
    stacks: usize,
    code: usize,
    stopped: usize,
}

impl Memory {
    fn now() -> Self {
        Self {
            heap: mm::usage().used,
            stacks: mm::stacks::usage().used,
            code: mm::code::used(),
            stopped: thread::stopped(),
        }
    }
}

/// Types `lines` lines. With `gentle`, nothing is done that stays; memory and code
/// must be as before then.
///
/// # Errors
/// What was not as before. A crash ends the run.
pub fn run(lines: u64, seed: u64, gentle: bool) -> Result<Tally, CommandError> {
    let mut desk = Desk::new(seed, gentle);
    let quiet = Quiet::new();
    desk.session.line(LARGEST);
    let warm = desk.put_back();
    let warm = warm.and_then(|()| desk.type_lines(lines / WARM_UP));
    let warm = warm.and_then(|()| desk.put_back());
    let before = Memory::now();
    let result = warm
        .and_then(|()| desk.type_lines(lines - lines / WARM_UP))
        .and_then(|()| desk.put_back());
    let after = Memory::now();
    input::inject_after(None);
    drop(quiet);
    result?;
    let grown = after.heap.saturating_sub(before.heap);
    // A thread that a fault has stopped keeps what it held.
    let kept = (after.stopped - before.stopped) * STOPPED_HOLDS;
    let same = (after.stacks, after.code) == (before.stacks, before.code);
    if gentle && (grown > SLACK + kept || !same) {
        return Err(CommandError::refused(format!(
            "memory in use was {before:?} and is {after:?}"
        )));
    }
    Ok(desk.tally)
}

/// Nothing is printed while this lives.
struct Quiet;

impl Quiet {
    fn new() -> Self {
        console::be_silent(true);
        live::be_quiet(true);
        fault::set_brief(true);
        Self
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        console::be_silent(false);
        live::be_quiet(false);
        fault::set_brief(false);
    }
}

struct Desk {
    lines: Lines,
    editor: Editor,
    session: Session,
    tally: Tally,
}

impl Desk {
    fn new(seed: u64, gentle: bool) -> Self {
        let mut session = Session::new(Out::console());
        session.be_gentle(gentle);
        let tried = shell::commands().map(|command| (command.name, 0));
        Self {
            lines: Lines::new(seed),
            editor: Editor::new(shell::prompt()),
            session,
            tally: Tally {
                tried: tried.collect(),
                ..Tally::default()
            },
        }
    }

    fn type_lines(&mut self, lines: u64) -> Outcome {
        let mut keys = Vec::new();
        for _ in 0..lines {
            input::inject_after(None);
            input::check()?;
            thread::safe_point();
            keys.clear();
            let looks = self.lines.make(&mut keys);
            input::inject_after(Some(looks));
            for &key in &keys {
                let event = self.editor.feed(key, &mut Nowhere, &mut complete::offer);
                if event == Event::Line {
                    let line = self.editor.take();
                    if line.contains(HANGS) {
                        continue;
                    }
                    self.note(&line);
                    self.session.line(&line);
                    // A `poweroff` is read, and not obeyed.
                    self.session.go_on();
                }
            }
            self.tally.lines += 1;
            console::progress("random lines", self.tally.lines as u32, 0);
            self.keep_going();
        }
        self.tally.failed = self.session.score().failed();
        Ok(())
    }

    fn note(&mut self, line: &str) {
        for command in line.split(';') {
            let name = command.split_ascii_whitespace().next();
            let mut tried = self.tally.tried.iter_mut();
            if let Some((_, count)) = tried.find(|(one, _)| Some(*one) == name) {
                *count += 1;
            }
        }
    }

    /// Ends what makes everything after it slow.
    fn keep_going(&mut self) {
        let members = workload::members();
        if members.len() > MEMBERS {
            let ids: Vec<u32> = members.iter().map(|one| one.id()).collect();
            drop(members);
            workload::end(&ids);
        }
        if self.lines.once_in(8) && shell::is_tracing() != Ok((false, false)) {
            // A trace that can't be ended shows when all is put back.
            let _ = shell::stop_tracing();
        }
        let _ = live::take_notes();
    }

    fn put_back(&mut self) -> Outcome {
        input::inject_after(None);
        let result = shell::put_back();
        self.editor = Editor::new(shell::prompt());
        let _ = live::take_notes();
        bank::look_again();
        result.map(drop)
    }
}
