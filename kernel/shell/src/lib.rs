//! The monitor: commands that are typed on the console, while everything else runs.
//!
//! - `commands`: what there is, a family a file; the table in `commands/mod.rs` is all
//!   that help, completion and the interpreter know of them;
//! - `interpret`: from a line to a command, and from what went wrong to a sentence;
//! - `input`: what is typed, also while a command runs, and ^C;
//! - `output`: what commands write to;
//! - `names`: functions, threads and numbers as they are typed;
//! - `complete`: what the Tab key offers;
//! - `workload`: threads to look at.
//!
//! An image adds commands, and functions for `call`, with [`extend`].
//!
//! Whatever is typed, the kernel goes on: a command that can't do what it is asked says
//! what it expected, and has changed nothing.
#![no_std]

extern crate alloc;
#[macro_use]
extern crate machine;

mod commands;
pub mod complete;
mod error;
pub mod input;
mod interpret;
pub mod names;
mod output;
pub mod workload;

pub use commands::{
    Command, Family, Kind, all as commands,
    calls::{Answer, Callable, NUMBER},
    find as command,
    system::{must_be_at_rest, put_back},
    tracing::{is_on as is_tracing, reset as stop_tracing},
};
pub use error::{CommandError, Outcome};
pub use interpret::Session;
pub use output::Out;

use bootargs::{BootArgs, Input};
use core::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use lineedit::{Editor, Event, Piece, Prompt, Script};
use livepatch::variants;
use machine::{
    console::{self, Painted, Tone},
    log::{Level, Record},
    platform,
};
use output::Direct;
use report::Verdict;
pub use workload::Role;

/// What an image adds to the shell.
#[derive(Debug)]
pub struct Extension {
    /// Commands.
    pub families: &'static [&'static Family],
    /// Functions that `call` takes.
    pub callables: &'static [&'static [Callable]],
    /// What threads that are spawned can do.
    pub roles: &'static [Role],
}

static EXTENSIONS: spin::Once<&[&Extension]> = spin::Once::new();

/// Sets what the image adds. Once, before the shell runs.
pub fn extend(extensions: &'static [&'static Extension]) {
    EXTENSIONS.call_once(|| extensions);
}

fn extensions() -> &'static [&'static Extension] {
    EXTENSIONS.get().copied().unwrap_or_default()
}

const PROMPT: &str = "klplab> ";

/// How long until the console is asked again, while nothing is typed.
const LOOK: Duration = Duration::from_millis(1);

/// Does what the boot arguments say, then what is typed, until that ends.
pub fn run(arguments: &BootArgs<'_>) -> Verdict {
    let variant = variants::current();
    if !variant.gives_back_toc {
        println!(
            "variant `{}` leaves callers with a wrong r2, and the shell would run on it; `make step VARIANT={}` shows how",
            variant.name, variant.name
        );
        return Verdict::ChecksFailed;
    }
    OWN_THREAD.store(thread::current().id(), Ordering::Relaxed);
    console::log_to_console(Some(wants));
    commands::code::remember_text();
    let mut session = Session::new(Out::console());
    if arguments.input == Input::Terminal {
        banner();
    }
    if let Some(commands) = arguments.commands {
        for command in commands.split(';').map(str::trim) {
            echo(command);
            session.line(command);
            if session.is_over() {
                return verdict(&session);
            }
        }
    }
    let typed_by_hand = arguments.input == Input::Terminal;
    input::start(typed_by_hand);
    if typed_by_hand {
        let unseen = session.score().clone();
        by_hand(&mut session, arguments.columns);
        session.forgive(unseen);
    } else {
        from_a_script(&mut session);
    }
    console::log_to_console(None);
    verdict(&session)
}

/// A line that failed unseen makes the run fail, and is named.
fn verdict(session: &Session) -> Verdict {
    let score = session.score();
    if score.failed() == 0 {
        return Verdict::Passed;
    }
    println!("{}", Painted(Tone::Bad, score));
    Verdict::ChecksFailed
}

/// Who runs commands.
static OWN_THREAD: AtomicU32 = AtomicU32::new(0);

/// Which log lines go to the console beside `dmesg`: what others complain of. What a
/// command's own thread logs, the command says itself.
fn wants(record: &Record<'_>) -> bool {
    let own = thread::with_current(thread::Thread::id) == Some(OWN_THREAD.load(Ordering::Relaxed));
    record.level() <= Level::Warn && !own
}

fn banner() {
    let (machine, variant) = (platform::get(), variants::current());
    println!(
        "{}",
        Painted(
            Tone::Heading,
            "klplab: a kernel that patches itself while it runs"
        )
    );
    println!(
        "{}, {} MiB; calls are handed over to patches by `{}`",
        machine.cpu.trim_start_matches("PowerPC,"),
        machine.memory_bytes() >> 20,
        variant.name
    );
    println!(
        "`help` lists the commands, Tab completes, ^C interrupts, `poweroff` or ^D ends this."
    );
}

/// Shows a command that is not typed.
fn echo(command: &str) {
    println!("{}{command}", Painted(Tone::Heading, PROMPT));
}

/// What stands before a line that is typed.
#[must_use]
pub fn prompt() -> Prompt {
    Prompt {
        text: PROMPT,
        style: if console::has_color() {
            ("\x1b[1m", "\x1b[0m")
        } else {
            ("", "")
        },
    }
}

/// Reads lines from a terminal, and echoes them.
fn by_hand(session: &mut Session, columns: Option<u16>) {
    let columns = columns.map_or(lineedit::COLUMNS, usize::from);
    let mut editor = Editor::new(prompt()).with_columns(columns);
    let mut terminal = Direct;
    editor.show(&mut terminal);
    let mut prints = console::prints();
    loop {
        thread::safe_point();
        let Some(byte) = input::next() else {
            // Another thread has printed into the line.
            if console::prints() != prints {
                terminal.end_line();
                editor.show(&mut terminal);
                prints = console::prints();
            }
            thread::sleep(LOOK);
            continue;
        };
        match editor.feed(byte, &mut terminal, &mut complete::offer) {
            Event::Typing => {}
            Event::Line => {
                let line = editor.take();
                session.line(&line);
                if session.is_over() {
                    return;
                }
                editor.show(&mut terminal);
            }
            Event::Interrupted => editor.show(&mut terminal),
            Event::End => return,
        }
        prints = console::prints();
    }
}

/// Reads lines of a file, and shows them, so that the transcript reads as if it had been
/// typed.
fn from_a_script(session: &mut Session) {
    let mut script = Script::new();
    loop {
        thread::safe_point();
        let piece = if script.has_ended() {
            Some(Piece::End)
        } else if let Some(byte) = input::next() {
            script.feed(byte)
        } else {
            thread::sleep(LOOK);
            continue;
        };
        match piece {
            None => {}
            Some(Piece::End) => return,
            Some(Piece::TooLong) => session.too_long(),
            Some(Piece::Line(line)) => {
                echo(&line);
                session.line(&line);
                if session.is_over() {
                    return;
                }
            }
        }
    }
}
