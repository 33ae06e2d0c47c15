//! The machine: memory, the log, and the kernel's tests of itself.

use super::Command;
use crate::{
    bench, console,
    livepatch::{self, variants},
    mm, module,
    monitor::{
        crew, input,
        interpret::Session,
        trouble::{Outcome, Trouble},
    },
    selftest, thread,
};
use alloc::{string::String, vec, vec::Vec};
use core::{fmt::Write, time::Duration};
use report::Verdict;

/// The family.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "mem",
        about: "shows what memory is used",
        example: "mem",
        run: mem,
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
        name: "selftest",
        arguments: "[PATTERN...]",
        count: (0, 16),
        about: "runs the kernel's tests of itself, or some; ^C stops between two",
        more: "A pattern is a test's path, the start of one up to a `::`, or holds a `*`. The tests need the kernel to themselves: see `reset`.",
        example: "selftest names::*",
        run: selftest,
        ..Command::BASIC
    },
    Command {
        name: "bench",
        about: "counts what things cost, in instructions; ^C stops between two",
        more: "Where time counts instructions: `make shell MACHINE=icount`.",
        example: "bench",
        run: bench,
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

fn mem(session: &mut Session, _: &[&str]) -> Outcome {
    let out = &mut session.out;
    let (heap, stacks) = (mm::usage(), mm::stack_usage());
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

fn selftest(_: &mut Session, patterns: &[&str]) -> Outcome {
    for pattern in patterns {
        if !selftest::is_any(pattern) {
            let what = "a test's path, the start of one up to `::`, or a pattern with `*`";
            return Err(Trouble::expected(what, pattern));
        }
    }
    must_be_at_rest()?;
    let verdict = selftest::run_while(patterns, || {
        thread::safe_point();
        !input::interrupted()
    });
    judged(verdict, "a test has failed")
}

fn bench(_: &mut Session, _: &[&str]) -> Outcome {
    must_be_at_rest()?;
    if !bench::is_possible() {
        return Err(Trouble::refused(
            "time does not count instructions here; it does on `make shell MACHINE=icount`",
        ));
    }
    let verdict = bench::run_while(None, &|| !input::interrupted());
    judged(verdict, "something costs more than it may")
}

fn judged(verdict: Verdict, failed: &str) -> Outcome {
    input::check()?;
    match verdict {
        Verdict::Passed => Ok(()),
        _ => Err(Trouble::refused(failed)),
    }
}

/// How long a transition that nobody holds up may take.
const PATIENCE: Duration = Duration::from_secs(5);

fn reset(session: &mut Session, _: &[&str]) -> Outcome {
    super::tracing::reset()?;
    let ids: Vec<u32> = crew::members().iter().map(|one| one.id()).collect();
    crew::end(&ids);
    let ended = || livepatch::running().is_none();
    if !input::wait(PATIENCE, ended)? {
        return Err(Trouble::refused(
            "a transition does not end; `transition` shows why",
        ));
    }
    livepatch::wait();
    let names = |patches: &[(alloc::sync::Arc<livepatch::Patch>, livepatch::Status)]| {
        let names = patches.iter().rev();
        names
            .map(|(patch, _)| String::from(patch.name()))
            .collect::<Vec<_>>()
    };
    let enabled = names(&livepatch::patches());
    for name in enabled {
        livepatch::disable(&name).map_err(Trouble::refused)?;
        if !input::wait(PATIENCE, ended)? {
            return Err(Trouble::refused(
                "a transition does not end; `transition` shows why",
            ));
        }
        livepatch::wait();
    }
    let mut pinned = Vec::new();
    let loaded: Vec<String> = module::loaded()
        .iter()
        .rev()
        .map(|one| one.name.clone())
        .collect();
    for name in loaded {
        if module::unload(&name).is_err() {
            pinned.push(name);
        }
    }
    variants::choose(variants::VARIANTS[0].name).map_err(Trouble::refused)?;
    if let (true, Err(difference)) = (pinned.is_empty(), super::code::compare_text()) {
        return Err(Trouble::refused(difference));
    }
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

/// Refuses what needs the kernel to itself.
fn must_be_at_rest() -> Outcome {
    let (traced, counted) = super::tracing::is_on()?;
    let busy = traced
        || counted
        || !crew::members().is_empty()
        || !livepatch::patches().is_empty()
        || !module::loaded().is_empty()
        || variants::current().name != variants::VARIANTS[0].name;
    if busy {
        return Err(Trouble::refused(
            "it needs the kernel to itself; `reset` ends what runs here",
        ));
    }
    Ok(())
}
