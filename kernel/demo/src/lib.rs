//! The main job: the demonstration. It shows one function of a bank being replaced
//! while its callers run, and checks everything that it shows.
//!
//! - `steps`: what happens, in order;
//! - `workload`: the threads that call the function, and their answers;
//! - `cashiers`: two more, which call at the same time;
//! - `events`: what is seen of transitions;
//! - `show`: code for the reader;
//! - `premises`, `traced`, `modules`: what all of it stands on;
//! - `line`: the closing table.
#![no_std]

extern crate alloc;
#[macro_use]
extern crate machine;

pub mod bank;
mod cashiers;
pub mod events;
pub mod line;
mod modules;
mod premises;
mod show;
mod steps;
mod traced;
pub mod workload;

use alloc::vec::Vec;
use boot::{Endian, Entry};
use line::{Line, Lines};
use livepatch::variants;
use machine::{
    console, cpus,
    log::{self, LevelFilter},
    mm,
    mmu::{self, Rights},
    platform, symbols, text,
};
use report::{Record, Verdict};
use show::heading;

/// Writes the first record of the report channel.
pub fn report_boot() {
    let platform = platform::get();
    console::report(&Record::Boot {
        cpu: platform.cpu,
        entry: match platform.entry {
            Entry::OpenFirmware => "open-firmware",
            Entry::FlatTree => "flat-tree",
        },
        endian: match platform.endian {
            Endian::Big => "big",
            Endian::Little => "little",
        },
        memory_bytes: platform.memory_bytes(),
        timebase_hz: platform.timebase_hz,
        cpus: platform.cpus,
        cpus_up: cpus::count() as u32,
        symbols: symbols::table().map_or(0, |table| table.len() as u32),
        mmu: mmu::kind().word(),
    });
    for area in mm::areas() {
        console::report(&Record::Area {
            name: area.name,
            start: area.range.start,
            end: area.range.end,
            access: area.rights.map_or("---", Rights::word),
        });
    }
}

/// All words of the kernel's text.
fn text_words() -> impl Iterator<Item = u32> {
    let range = text::kernel_text();
    (range.start..range.end).step_by(4).map(text::read)
}

/// Runs the demonstration, and says whether all of it was as it should be.
pub fn run() -> Verdict {
    // What the kernel logs of each transition is shown in other words here.
    if log::max_level() == LevelFilter::Info {
        log::set_max_level(LevelFilter::Warn);
    }
    let variant = variants::current();
    if !variant.gives_back_toc {
        println!(
            "variant `{}` leaves callers with a wrong r2, and all that follows would run on it; \
             `make step VARIANT={}` shows how",
            variant.name, variant.name
        );
        return Verdict::ChecksFailed;
    }
    let words: Vec<u32> = text_words().collect();
    heading("klplab: a kernel that patches itself while it runs");
    println!(
        "Live patching replaces functions of a kernel without stopping it. Each thread changes to the"
    );
    println!(
        "new version by itself, when it is not inside the old one, and never uses both at a time."
    );
    let mut lines = Lines::new();
    premises::check(&mut lines);
    lines.push(traced::check());
    lines.push(modules::check());
    if loader::initrd_error().is_some() {
        // That line has said it, and all that follows needs patches.
        heading("what was checked");
        return line::conclude(&lines);
    }

    events::reserve();
    if let Err(problem) = steps::rehearse() {
        lines.push(Line::new("rehearsal", format_args!("{problem}"), false));
    }
    let memory = (mm::usage().used, mm::code::used());
    steps::run(&mut lines);
    let now = (mm::usage().used, mm::code::used());
    lines.push(compared(&words));
    lines.push(Line::new(
        "returned",
        format_args!(
            "{} bytes of heap and {} of code memory in use; before: {}, {}",
            now.0, now.1, memory.0, memory.1
        ),
        now == memory,
    ));
    heading("what was checked");
    line::conclude(&lines)
}

/// Compares the kernel's text with a copy.
fn compared(words: &[u32]) -> Line {
    let changed = words
        .iter()
        .zip(text_words())
        .filter(|&(&then, now)| then != now);
    let changed = changed.count();
    let right = changed == 0 && !words.is_empty();
    let found = format_args!(
        "{} words of code, {changed} of them not as at boot",
        words.len()
    );
    Line::new("text", found, right)
}
