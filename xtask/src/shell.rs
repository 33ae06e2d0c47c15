//! `shell`: the monitor in the kernel, at a terminal or from a script.

use crate::guest::{Finished, Guest, Limits};
use crate::image::{self, Image};
use crate::kernel;
use crate::live::base::Base;
use crate::live::channel;
use crate::machine::{self, Machine};
use crate::modules::Conventions;
use crate::outcome::Outcome;
use crate::qemu::Qemu;
use crate::run::{seconds, wants_colour};
use crate::terminal::RawTerminal;
use anyhow::{Result, ensure};
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::ChildStdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Options of `shell`.
#[derive(Clone, Debug, clap::Args)]
pub struct ShellArgs {
    /// The shape of machine, by its name in tests/machines.toml
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub machine: String,
    /// Other CPUs than the machine's, such as 4, or 8,threads=4 for cores of four threads
    #[arg(long, value_name = "NUMBER", value_parser = machine::cpus)]
    pub cpus: Option<String>,
    /// Boot arguments, and behind `--` commands to begin with, such as
    /// "variant=mini-frame -- load kinds; patches"
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub append: String,
    /// The image to boot: klplab, klplab-lab or klplab-test
    #[arg(long, value_name = "NAME", default_value = "klplab", value_parser = image::named)]
    pub image: Image,
    /// The kernel of a build that was kept, by its id, in place of what the tree is now: without
    /// modules
    #[arg(long, value_name = "ID")]
    pub build: Option<String>,
    /// How long the guest may print and report nothing while it has a script to do
    /// [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub silence: Option<Duration>,
    /// How long a script may take in all [default: 3600]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
}

/// ^D, which ends a script.
const END_OF_INPUT: u8 = 4;

/// ^], which ends QEMU whatever the guest does. No key of the line editor.
const ESCAPE: u8 = 0x1d;

/// Builds the kernel and runs its monitor on standard input and output. At a terminal
/// each key goes to the guest at once; else standard input is a script.
///
/// # Errors
/// When the options are wrong, or something can't be built or started.
pub fn shell(args: &ShellArgs) -> Result<Outcome> {
    let machine = Machine::find(&args.machine)?.to_be_shown();
    let machine = machine.with_cpus(args.cpus.as_deref());
    ensure!(
        !args.append.contains('\0'),
        "the boot arguments contain a zero character"
    );
    let by_hand = std::io::stdin().is_terminal();
    let columns = by_hand.then(width).flatten();
    let append = boot_arguments(&args.append, by_hand, wants_colour(), columns);
    let kernel = match &args.build {
        Some(id) => Base::find(id)?.path(),
        None => kernel::build(args.image, &Conventions::all())?,
    };
    let limits = Limits::asked(args.silence, args.timeout, by_hand);
    let (finished, escaped) = converse(machine, &kernel, &append, by_hand, limits)?;
    if !finished.transcript.ends_with('\n') {
        println!();
    }
    if by_hand && finished.outcome.passed() {
        return Ok(finished.outcome);
    }
    let outcome = match escaped {
        true => Outcome::EndedByHand,
        false => finished.outcome,
    };
    eprintln!("klplab: {outcome}");
    Ok(outcome)
}

/// How wide the terminal is, if it says so and the kernel can make use of that.
fn width() -> Option<u16> {
    let (_, columns) = console::Term::stdout().size_checked()?;
    bootargs::COLUMNS.contains(&columns).then_some(columns)
}

/// The boot arguments: those that were given, with what the shell needs in front.
fn boot_arguments(given: &str, by_hand: bool, colour: bool, columns: Option<u16>) -> String {
    let mut words = vec!["mode=shell"];
    let has = |key: &str| {
        let mut before = given.split_whitespace().take_while(|word| *word != "--");
        before.any(|word| word.split('=').next() == Some(key))
    };
    if !has("input") {
        words.push(if by_hand {
            "input=terminal"
        } else {
            "input=script"
        });
    }
    if colour && !has("color") {
        words.push("color=always");
    }
    let width = columns.map(|columns| format!("columns={columns}"));
    words.extend(width.as_deref().filter(|_| !has("columns")));
    words.push(given.trim());
    words.join(" ").trim_end().to_owned()
}

/// Holds the dialogue. Says whether it was ended by [`ESCAPE`].
fn converse(
    machine: Machine,
    kernel: &Path,
    append: &str,
    by_hand: bool,
    limits: Option<Limits>,
) -> Result<(Finished, bool)> {
    let mut qemu = Qemu::new(machine, kernel, append).with_modules(&Conventions::all());
    qemu.channel = channel::offer();
    // Restored when it is dropped, however this ends.
    let terminal = by_hand.then(RawTerminal::enter).transpose()?;
    if by_hand {
        eprintln!("klplab: ^] ends QEMU, whatever the guest does");
    }
    let mut guest = Guest::start(&qemu, false, limits)?;
    guest.be_live();
    let typist = Arc::new(Typist::default());
    if let Some(input) = guest.take_input() {
        let typist = typist.clone();
        // Ends with the process: nothing can interrupt a read from a terminal.
        std::thread::spawn(move || feed(input, by_hand, &typist));
    }
    while !guest.has_ended() {
        guest.step(Instant::now() + Duration::from_millis(100));
        if typist.escaped.load(Ordering::Relaxed) {
            guest.kill_now();
        }
        if typist.pauses.load(Ordering::Relaxed) {
            guest.excuse_silence();
        }
    }
    let finished = guest.finish();
    drop(terminal);
    Ok((finished, typist.escaped.load(Ordering::Relaxed)))
}

/// Where standard input comes from.
#[derive(Debug, Default)]
struct Typist {
    /// [`ESCAPE`] was typed.
    escaped: AtomicBool,
    /// All that has come was passed on, and more may come: a guest that says nothing
    /// meanwhile waits for it.
    pauses: AtomicBool,
}

impl Typist {
    /// Reads what comes next. Nothing is the end.
    fn read(&self, bytes: &mut [u8]) -> usize {
        self.pauses.store(true, Ordering::Relaxed);
        let count = std::io::stdin().lock().read(bytes).unwrap_or(0);
        self.pauses.store(false, Ordering::Relaxed);
        count
    }
}

/// Passes standard input on to the guest, until one of them ends.
fn feed(mut guest: ChildStdin, by_hand: bool, typist: &Typist) {
    let mut bytes = [0; 4096];
    while let count @ 1.. = typist.read(&mut bytes) {
        let mut bytes = &bytes[..count];
        if by_hand && let Some(place) = bytes.iter().position(|&byte| byte == ESCAPE) {
            bytes = &bytes[..place];
            typist.escaped.store(true, Ordering::Relaxed);
        }
        if guest.write_all(bytes).and_then(|()| guest.flush()).is_err() {
            return;
        }
    }
    let _ = guest
        .write_all(&[END_OF_INPUT])
        .and_then(|()| guest.flush());
    // Held open: QEMU's console would be gone with it.
    std::mem::forget(guest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_is_told_who_types() {
        assert_eq!(
            boot_arguments("", true, true, Some(132)),
            "mode=shell input=terminal color=always columns=132"
        );
        assert_eq!(
            boot_arguments(" variant=pcrel -- load kinds", false, false, None),
            "mode=shell input=script variant=pcrel -- load kinds"
        );
        assert_eq!(
            boot_arguments(
                "input=script color=never columns=40 -- input=x",
                true,
                true,
                Some(80)
            ),
            "mode=shell input=script color=never columns=40 -- input=x"
        );
    }
}
