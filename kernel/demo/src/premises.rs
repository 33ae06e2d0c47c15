//! The machine, and the parts of the kernel that the demonstration stands on.

use super::line::{Line, Lines};
use alloc::{format, string::String, vec::Vec};
use boot::{Endian, Entry};
use core::time::Duration;
use machine::{arch, cpus, mm, platform, stack, symbols, time};
use report::Verdict;

/// How long to wait for ticks.
const TICKS: u64 = 5;

/// Tries each of them once.
pub fn check(lines: &mut Lines) {
    lines.extend([
        machine(),
        entry(),
        memory(),
        heap(),
        names(),
        ticks(),
        guard(),
    ]);
}

fn machine() -> Line {
    let platform = platform::get();
    let (cpu, cpus) = (platform.cpu, platform.cpus);
    let (version, mhz) = (arch::processor_version(), platform.timebase_hz / 1_000_000);
    let up = cpus::count() as u32;
    let used = if up == cpus {
        String::new()
    } else {
        format!(", {up} of them used")
    };
    Line::new(
        "machine",
        format_args!("{cpus} x {cpu}{used} (version {version:#010x}), timebase {mhz} MHz"),
        platform::can_power_off(),
    )
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
    Line::new(
        "entry",
        format_args!("through {through}, in {endian} endian"),
        true,
    )
}

fn memory() -> Line {
    let platform = platform::get();
    let image = mm::kernel_image();
    let mib = platform.memory_bytes() >> 20;
    Line::new(
        "memory",
        format_args!(
            "{mib} MiB; kernel at {:#x} to {:#x}",
            image.start, image.end
        ),
        platform.memory.iter().any(|range| range.end >= image.end),
    )
}

fn heap() -> Line {
    let before = mm::usage();
    let block: Vec<u64> = (0..10_000).collect();
    let sum: u64 = block.iter().sum();
    let during = mm::usage();
    drop(block);
    let after = mm::usage();
    let mib = after.free >> 20;
    Line::new(
        "heap",
        format_args!("{mib} MiB free, a block of 10,000 words came and went"),
        sum == 49_995_000 && during.used >= before.used + 80_000 && after == before,
    )
}

fn names() -> Line {
    // A function by name and by address.
    let path = "demo::run";
    match symbols::table().map(|table| (table.len(), symbols::find(path))) {
        Ok((count, Ok(symbol))) => Line::new(
            "symbols",
            format_args!(
                "{count}, `{path}` at {:#x} with {} bytes",
                symbol.address, symbol.size
            ),
            symbol.address == super::run as fn() -> Verdict as usize as u64,
        ),
        Ok((_, Err(error))) => Line::new("symbols", format_args!("{error}"), false),
        Err(error) => Line::new("symbols", format_args!("{error}"), false),
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
    let rate = time::TICKS_PER_SECOND;
    Line::new(
        "ticks",
        format_args!("{TICKS} at {rate} a second arrived in {took:.1?}"),
        time::ticks() >= before + TICKS,
    )
}

fn guard() -> Line {
    let (bottom, top) = stack::running();
    match stack::check_guard() {
        Ok(()) => {
            let found = format_args!("{bottom:#x} to {top:#x}, guard untouched");
            Line::new("stack", found, true)
        }
        Err(damage) => Line::new("stack", format_args!("{damage}"), false),
    }
}
