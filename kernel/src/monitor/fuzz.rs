//! Random lines for the editor and the interpreter: whatever is typed, the kernel goes
//! on, and has lost nothing when all is put back.
//!
//! Lines are mostly commands with arguments that they might take, some of them with
//! mistakes, editing keys and control characters in between; the rest is anything.
//! The same seed gives the same lines.

use super::{
    commands::{self, Command, Kind},
    complete, crew, input,
    interpret::Session,
    output::Out,
    trouble::{Outcome, Trouble},
};
use crate::{bank, console, fault, mm, selftest::Random, thread, victims::live};
use alloc::{format, string::String, vec::Vec};
use core::fmt::{self, Write};
use lineedit::{Editor, Event};

/// Of so many lines, one is looked at as the first of those to compare memory with:
/// tables have grown to their size by then.
const WARM_UP: u64 = 4;

/// Bytes that the heap may hold more of afterwards: tables that grow now and then. A
/// line in a thousand that lost anything would lose more.
const SLACK: usize = 4096;

/// Bytes that a thread holds whose call has faulted: what it was to call, and with what.
const STOPPED_HOLDS: usize = 512;

/// Threads that may be there at a time, or nothing else would have its turn.
const CREW: usize = 4;

/// What the lines come to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Lines that were given.
    pub lines: u64,
    /// Commands that have failed, as most should.
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
            stacks: mm::stack_usage().used,
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
pub fn run(lines: u64, seed: u64, gentle: bool) -> Result<Tally, Trouble> {
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
        return Err(Trouble::refused(format!(
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
    random: Random,
    editor: Editor,
    session: Session,
    tally: Tally,
}

impl Desk {
    fn new(seed: u64, gentle: bool) -> Self {
        let mut session = Session::new(Out::console());
        session.be_gentle(gentle);
        let tried = commands::all().map(|command| (command.name, 0));
        Self {
            // The generator needs something.
            random: Random(seed.max(1)),
            editor: Editor::new(super::prompt()),
            session,
            tally: Tally {
                tried: tried.collect(),
                ..Tally::default()
            },
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.random.next() >> 16) as usize % limit.max(1)
    }

    /// True once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn type_lines(&mut self, lines: u64) -> Outcome {
        let mut keys = Vec::new();
        for _ in 0..lines {
            input::inject_after(None);
            input::check()?;
            thread::safe_point();
            keys.clear();
            let looks = self.line(&mut keys);
            input::inject_after(Some(looks));
            for &key in &keys {
                let event = self.editor.feed(key, &mut Nowhere, &mut complete::offer);
                if event == Event::Line {
                    let line = self.editor.take();
                    self.note(&line);
                    self.session.line(&line);
                    // A `poweroff` is read, and not obeyed.
                    self.session.go_on();
                }
            }
            self.tally.lines += 1;
            self.keep_going();
        }
        self.tally.failed = self.session.failed();
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
        let members = crew::members();
        if members.len() > CREW {
            let ids: Vec<u32> = members.iter().map(|one| one.id()).collect();
            drop(members);
            crew::end(&ids);
        }
        if self.once_in(8) && commands::tracing::is_on() != Ok((false, false)) {
            // A trace that can't be ended shows when all is put back.
            let _ = commands::tracing::reset();
        }
        let _ = live::take_notes();
    }

    fn put_back(&mut self) -> Outcome {
        input::inject_after(None);
        let result = commands::system::put_back();
        self.editor = Editor::new(super::prompt());
        let _ = live::take_notes();
        bank::look_again();
        result.map(drop)
    }

    /// Makes up a line, and after how many looks at the keyboard ^C is typed.
    fn line(&mut self, keys: &mut Vec<u8>) -> u32 {
        let mut looks = self.below(40) as u32;
        if self.once_in(4) {
            for _ in 0..self.below(60) {
                let byte = match self.below(3) {
                    0 => self.below(256) as u8,
                    _ => b' ' + self.below(95) as u8,
                };
                // Tab is dear.
                keys.push(if byte == b'\t' { b' ' } else { byte });
            }
        } else {
            let mut text = String::new();
            for _ in 0..=self.below(2) {
                looks = looks.min(self.command(&mut text));
                text.push(';');
            }
            keys.extend_from_slice(text.as_bytes());
            self.disturb(keys);
        }
        if self.once_in(500) {
            keys.push(b'\t');
        }
        keys.push(b'\r');
        looks
    }

    /// Writes a command with arguments. Returns how many looks it may take.
    fn command(&mut self, text: &mut String) -> u32 {
        let mut command = self.any_command();
        while self.is_too_slow(command.name) {
            command = self.any_command();
        }
        text.push_str(command.name);
        let most = command.count.1.min(4);
        let count = match self.below(8) {
            0 => self.below(5),
            _ => command.count.0 + self.below(most.saturating_sub(command.count.0) + 1),
        };
        for index in 0..count {
            text.push(' ');
            let kind = command.kind(index);
            self.argument(kind, text);
        }
        match command.name {
            // A test is not interrupted, only what comes behind it.
            "selftest" | "bench" => 1,
            _ => u32::MAX,
        }
    }

    fn any_command(&mut self) -> &'static Command {
        let chosen = self.below(self.tally.tried.len());
        // As many as there are.
        commands::all().nth(chosen).unwrap_or(&Command::BASIC)
    }

    /// Whether another command is to be tried instead, so that there is time for all.
    fn is_too_slow(&mut self, name: &str) -> bool {
        let slow = SLOW.iter().find(|(names, _)| names.contains(&name));
        slow.is_some_and(|&(_, times)| !self.once_in(times))
    }

    fn argument(&mut self, kind: Option<Kind>, text: &mut String) {
        match self.below(8) {
            0 => _ = write!(text, "{}", self.random.next() >> self.below(64)),
            1 => _ = write!(text, "{:#x}", self.random.next() >> self.below(64)),
            2 => _ = write!(text, "{}", self.below(4)),
            3 => {
                const ODD: [&str; 8] = ["*", "!", "::", "-1", "0x", "off", "all", "names::*"];
                text.push_str(ODD[self.below(ODD.len())]);
            }
            _ => self.fitting(kind, text),
        }
    }

    /// An argument that the command may well take.
    fn fitting(&mut self, kind: Option<Kind>, text: &mut String) {
        const FUNCTIONS: [&str; 5] = ["balance", "leaf", "c_tail", "kernel::bank::balance", "tick"];
        // Patches that the demonstration of threads is about, more often than others.
        const PATCHES: [&str; 3] = ["two_percent", "three_percent", "demo"];
        let word = match kind {
            Some(Kind::Function | Kind::Site) => Some(FUNCTIONS[self.below(FUNCTIONS.len())]),
            Some(Kind::File | Kind::Patch | Kind::Module) if self.once_in(2) => {
                Some(PATCHES[self.below(PATCHES.len())])
            }
            _ => None,
        };
        if let Some(word) = word {
            return text.push_str(word);
        }
        let Some(kind) = kind else {
            return text.push('x');
        };
        let candidates = complete::candidates(kind);
        if let Some(one) = candidates.get(self.below(candidates.len())) {
            text.push_str(one);
        }
    }

    /// Puts keys and mistakes into a line.
    fn disturb(&mut self, keys: &mut Vec<u8>) {
        const KEYS: [&[u8]; 12] = [
            b"\x1b[A",
            b"\x1b[B",
            b"\x1b[C",
            b"\x1b[D",
            b"\x7f",
            b"\x01",
            b"\x05",
            b"\x0b",
            b"\x15",
            b"\x17",
            b"\x19",
            b"\x10\x0e",
        ];
        if !self.once_in(3) {
            return;
        }
        for _ in 0..self.below(4) {
            let place = self.below(keys.len() + 1);
            let key = KEYS[self.below(KEYS.len())];
            keys.splice(place..place, key.iter().copied());
        }
        if self.once_in(3) && !keys.is_empty() {
            let place = self.below(keys.len());
            keys[place] ^= 1 << self.below(8);
            if keys[place] == b'\t' {
                keys[place] = b' ';
            }
        }
    }
}

/// Commands that take long, and of how many only one is tried: such as look at every
/// symbol, load, or run what is not a command's own.
const SLOW: [(&[&str], usize); 4] = [
    (
        &[
            "sym", "sites", "trace", "filter", "selftest", "bench", "reset", "fuzz",
        ],
        200,
    ),
    (&["dis"], 40),
    (&["load", "enable"], 8),
    (
        &[
            "disable", "unload", "modules", "variant", "wait", "bt", "kill",
        ],
        3,
    ),
];

/// What makes tables grow to their size: the module with the most functions, and the
/// counters of all sites.
const LARGEST: &str = "enable soak1000; trace hits; trace off";
