//! Lines that a user might type: mostly commands with arguments that they might take,
//! some of them with mistakes, editing keys and control characters in between; the rest
//! is anything. The same seed gives the same lines.

use alloc::{string::String, vec::Vec};
use core::fmt::Write;
use lab::random::Random;
use shell::{Command, Kind, complete};

/// Commands that take long, and of how many only one is tried: such as look at every
/// symbol, load, or run what is not a command's own.
const SLOW: [(&[&str], usize); 4] = [
    (
        &[
            "step", "sym", "sites", "trace", "filter", "selftest", "bench", "reset", "fuzz",
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

/// Makes lines up.
pub struct Lines {
    random: Random,
}

impl Lines {
    /// Those of a seed.
    pub fn new(seed: u64) -> Self {
        // The generator needs something.
        let random = Random(seed.max(1));
        Self { random }
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.random.number() >> 16) as usize % limit.max(1)
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Makes up a line, and after how many looks at the keyboard ^C is typed.
    pub fn make(&mut self, keys: &mut Vec<u8>) -> u32 {
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
        let chosen = self.below(shell::commands().count());
        shell::commands().nth(chosen).unwrap_or(&Command::BASIC)
    }

    /// Whether another command is to be tried instead, so that there is time for all.
    fn is_too_slow(&mut self, name: &str) -> bool {
        let slow = SLOW.iter().find(|(names, _)| names.contains(&name));
        slow.is_some_and(|&(_, times)| !self.once_in(times))
    }

    fn argument(&mut self, kind: Option<Kind>, text: &mut String) {
        match self.below(8) {
            0 => _ = write!(text, "{}", self.random.number() >> self.below(64)),
            1 => _ = write!(text, "{:#x}", self.random.number() >> self.below(64)),
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
        const FUNCTIONS: [&str; 5] = ["balance", "leaf", "c_tail", "demo::bank::balance", "tick"];
        // Patches that the demonstration of threads is about, more often than others.
        const PATCHES: [&str; 3] = ["two_percent", "three_percent", "kinds"];
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
