//! The main job: shows what the kernel found and checks that it works.

mod modules;
mod tracing;

use crate::{
    arch,
    console::{self, Painted, Tone},
    mm, platform, stack, symbols, time,
};
use alloc::{format, string::String, vec::Vec};
use boot::{Endian, Entry};
use core::time::Duration;
use report::{Record, Verdict};

/// How long the main job waits for ticks.
const TICKS: u64 = 5;

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
        symbols: symbols::table().map_or(0, |table| table.len() as u32),
    });
}

/// One line of the summary: what, how it turned out, and whether that is right.
struct Line {
    what: &'static str,
    found: String,
    right: bool,
}

/// Shows the machine, runs each part once, and says whether all of it works.
pub fn run() -> Verdict {
    println!(
        "{}",
        Painted(
            Tone::Heading,
            "klplab: a kernel that patches itself while it runs"
        )
    );
    let ftrace = tracing::run();
    let modules = modules::run();
    println!(
        "{}",
        Painted(Tone::Heading, "what was found, and whether it works")
    );
    let lines = [
        machine(),
        entry(),
        memory(),
        heap(),
        names(),
        ticks(),
        guard(),
        ftrace,
        modules,
    ];
    for Line { what, found, right } in &lines {
        let mark = if *right {
            Painted(Tone::Good, "ok")
        } else {
            Painted(Tone::Bad, "not ok")
        };
        println!("  {what:<9} {found:<66} {mark}");
    }
    if lines.iter().all(|line| line.right) {
        Verdict::Passed
    } else {
        Verdict::ChecksFailed
    }
}

fn machine() -> Line {
    let platform = platform::get();
    let (cpu, cpus) = (platform.cpu, platform.cpus);
    let (version, mhz) = (arch::processor_version(), platform.timebase_hz / 1_000_000);
    Line {
        what: "machine",
        found: format!("{cpus} x {cpu} (version {version:#010x}), timebase {mhz} MHz"),
        right: platform.power_off.is_some(),
    }
}

fn entry() -> Line {
    let platform = platform::get();
    let through = match platform.entry {
        Entry::OpenFirmware => "Open Firmware",
        Entry::FlatTree => "a flattened device tree",
    };
    let endian = match platform.endian {
        Endian::Big => "big",
        Endian::Little => "little",
    };
    Line {
        what: "entry",
        found: format!("through {through}, in {endian} endian"),
        right: true,
    }
}

fn memory() -> Line {
    let platform = platform::get();
    let image = mm::kernel_image();
    Line {
        what: "memory",
        found: format!(
            "{} MiB; kernel at {:#x} to {:#x}",
            platform.memory_bytes() >> 20,
            image.start,
            image.end
        ),
        right: platform.memory.iter().any(|range| range.end >= image.end),
    }
}

fn heap() -> Line {
    let before = mm::usage();
    let block: Vec<u64> = (0..10_000).collect();
    let sum: u64 = block.iter().sum();
    let during = mm::usage();
    drop(block);
    let after = mm::usage();
    Line {
        what: "heap",
        found: format!(
            "{} MiB free, a block of 10,000 words came and went",
            after.free >> 20
        ),
        right: sum == 49_995_000 && during.used >= before.used + 80_000 && after == before,
    }
}

fn names() -> Line {
    let table = match symbols::table() {
        Ok(table) => table,
        Err(error) => {
            return Line {
                what: "symbols",
                found: format!("{error}"),
                right: false,
            };
        }
    };
    // This very function, by name and by address.
    let path = "kernel::job::run";
    let (found, right) = match symbols::find(path) {
        Ok(symbol) => (
            format!(
                "{}, `{path}` at {:#x} with {} bytes",
                table.len(),
                symbol.address,
                symbol.size
            ),
            symbol.address == run as fn() -> Verdict as usize as u64,
        ),
        Err(error) => (format!("{error}"), false),
    };
    Line {
        what: "symbols",
        found,
        right,
    }
}

fn ticks() -> Line {
    let before = time::ticks();
    let start = arch::timebase();
    let limit = time::timebase_ticks(Duration::from_secs(5));
    while time::ticks() < before + TICKS && arch::timebase() - start < limit {
        arch::wait();
    }
    let took = time::duration(arch::timebase() - start);
    Line {
        what: "ticks",
        found: format!(
            "{TICKS} at {} a second arrived in {took:.1?}",
            time::TICKS_PER_SECOND
        ),
        right: time::ticks() >= before + TICKS,
    }
}

fn guard() -> Line {
    let (bottom, top) = stack::running();
    let (found, right) = match stack::check_guard() {
        Ok(()) => (format!("{bottom:#x} to {top:#x}, guard untouched"), true),
        Err(damage) => (format!("{damage}"), false),
    };
    Line {
        what: "stack",
        found,
        right,
    }
}

/// Repeats what is typed on the console, until `quit`.
pub fn echo() -> Verdict {
    println!("repeating lines until `quit`");
    let mut line = [0; 120];
    loop {
        print!("> ");
        let line = console::read_line(&mut line);
        let text = core::str::from_utf8(line).unwrap_or("");
        if text == "quit" {
            return Verdict::Passed;
        }
        println!("{text}");
    }
}
