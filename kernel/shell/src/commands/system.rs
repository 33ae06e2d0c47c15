//! The machine: memory, the log, and the way back to where the shell began.

use super::{Command, pages};
use crate::{
    error::{CommandError, Outcome},
    input,
    interpret::Session,
    workload,
};
use alloc::{format, string::String, vec, vec::Vec};
use core::{fmt::Write, sync::atomic::Ordering, time::Duration};
use livepatch::{LivepatchError, variants};
use machine::{
    console::{self, Painted, Tone},
    mm,
};
use thread::State;

/// The family.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "cpus",
        about: "lists the CPUs, and what each of them runs",
        more: "`id` is what the hypervisor calls a CPU. One that is idle takes no ticks. The other columns say how often \
            CPUs have interrupted it: to look for a thread, to synchronise, to pause, to make a call.",
        example: "spawn busy; cpus",
        run: cpus,
        is_table: true,
        ..Command::BASIC
    },
    Command {
        name: "mem",
        about: "shows what memory is used",
        example: "mem",
        run: mem,
        is_table: true,
        ..Command::BASIC
    },
    Command {
        name: "pages",
        about: "shows which memory has pages, and what they allow",
        more: "R: read. W: written. X: executed. What is not listed has no page.",
        example: "load two_percent; pages",
        run: pages::run,
        is_table: true,
        ..Command::BASIC
    },
    Command {
        name: "dmesg",
        about: "shows the kernel's last log lines",
        example: "enable two_percent; dmesg",
        run: dmesg,
        ..Command::BASIC
    },
    Command {
        name: "reset",
        about: "puts everything back: threads, tracers, patches, modules, variant",
        more: "What was forced stays, and so do its modules.",
        example: "spawn busy; enable two_percent; reset",
        run: reset,
        ..Command::BASIC
    },
];

fn cpus(session: &mut Session, _: &[&str]) -> Outcome {
    let out = &mut session.out;
    let mut title = format!("  {:>3}  {:>4}  {:<24} {:>9}", "no", "id", "runs", "ticks");
    for request in machine::cpus::REQUESTS {
        write!(title, " {request:>11}")?;
    }
    writeln!(out, "{}", Painted(Tone::Heading, title))?;
    let threads = thread::all().filter(|one| one.state() == State::Running && !one.is_idle());
    let running: Vec<_> = threads.collect();
    for cpu in machine::cpus::all() {
        let number = cpu.number();
        let runs = match running.iter().find(|thread| thread.cpu() == number) {
            Some(thread) => format!("{}-{}", thread.name(), thread.id()),
            None => "idle".into(),
        };
        let id = cpu.hardware_id.load(Ordering::Relaxed);
        let ticks = cpu.ticks.load(Ordering::Relaxed);
        write!(out, "  {number:>3}  {id:>4}  {runs:<24} {ticks:>9}")?;
        for taken in &cpu.taken {
            write!(out, " {:>11}", taken.load(Ordering::Relaxed))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn mem(session: &mut Session, _: &[&str]) -> Outcome {
    let out = &mut session.out;
    let (heap, stacks) = (mm::usage(), mm::stacks::usage());
    let code = mm::code::used();
    let rows = [
        ("heap", heap.used, heap.used + heap.free),
        ("threads' stacks", stacks.used, stacks.used + stacks.free),
        ("code made since boot", code, mm::code::BYTES as usize),
    ];
    for (what, used, all) in rows {
        writeln!(
            out,
            "  {what:<22} {used:>10} bytes in use of {:>7} KiB",
            all >> 10
        )?;
    }
    let image = mm::kernel_image();
    let bytes = image.end - image.start;
    writeln!(
        out,
        "  {:<22} {bytes:>10} bytes at {:#x} to {:#x}",
        "the kernel", image.start, image.end
    )?;
    Ok(())
}

fn dmesg(session: &mut Session, _: &[&str]) -> Outcome {
    let mut bytes = vec![0; 16 * 1024];
    let count = console::recent_log(&mut bytes);
    let lines = String::from_utf8_lossy(&bytes[bytes.len() - count..]);
    for line in lines.lines() {
        writeln!(session.out, "{line}")?;
    }
    Ok(())
}

/// How long a transition may take that no thread blocks.
const PATIENCE: Duration = Duration::from_secs(5);

fn reset(session: &mut Session, _: &[&str]) -> Outcome {
    let pinned = put_back()?;
    if pinned.is_empty() {
        writeln!(session.out, "all is as it was when the shell began")?;
    } else {
        let list = pinned.join(", ");
        writeln!(
            session.out,
            "all is as it was, but for modules that stay: {list}"
        )?;
    }
    Ok(())
}

/// Ends threads, tracers and patches, and unloads what can be. Returns the modules
/// that stay.
pub fn put_back() -> Result<Vec<String>, CommandError> {
    super::tracing::reset()?;
    let ids: Vec<u32> = workload::members().iter().map(|one| one.id()).collect();
    workload::end(&ids);
    loop {
        if !input::wait(PATIENCE, || livepatch::running().is_none())? {
            return Err(CommandError::refused(
                "a transition does not end; `transition` shows why",
            ));
        }
        livepatch::wait();
        let newest = livepatch::patches().pop();
        let Some(name) = newest.map(|(patch, _)| String::from(patch.name())) else {
            break;
        };
        match livepatch::disable(&name) {
            // The worker was quicker: a patch that has faulted is taken back.
            Ok(()) | Err(LivepatchError::Busy { .. } | LivepatchError::NotEnabled(_)) => {}
            Err(error) => return Err(CommandError::refused(error)),
        }
    }
    let mut pinned = Vec::new();
    let loaded = loader::loaded();
    let names: Vec<String> = loaded.iter().rev().map(|one| one.name.clone()).collect();
    drop(loaded);
    for name in names {
        if loader::unload(&name).is_err() {
            pinned.push(name);
        }
    }
    variants::choose(variants::VARIANTS[0].name).map_err(CommandError::refused)?;
    if pinned.is_empty() {
        super::code::compare_text().map_err(CommandError::Refused)?;
    }
    Ok(pinned)
}

/// Refuses what needs the kernel to itself.
pub fn must_be_at_rest() -> Outcome {
    let (traced, counted) = super::tracing::is_on()?;
    let patches = livepatch::patches();
    let modules = loader::loaded();
    let what = if traced || counted {
        String::from("a tracer is attached")
    } else if let Some(one) = workload::members().first() {
        format!("thread `{}-{}` runs", one.name(), one.id())
    } else if let Some((patch, _)) = patches.first() {
        format!("patch `{}` is enabled", patch.name())
    } else if let Some(module) = modules.first() {
        format!("module `{}` is loaded", module.name)
    } else if variants::current().name != variants::VARIANTS[0].name {
        format!("variant `{}` is in use", variants::current().name)
    } else {
        return Ok(());
    };
    Err(CommandError::refused(format!(
        "it needs the kernel to itself, and {what}; `reset` puts back what can be"
    )))
}
