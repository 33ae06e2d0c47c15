//! The machine: memory, the log, and the kernel's tests of itself.

use super::Command;
use crate::{
    arch, bench, console,
    livepatch::{self, LivepatchError, variants},
    mm, module,
    monitor::{
        crew, fuzz, input,
        interpret::Session,
        names,
        trouble::{Outcome, Trouble},
    },
    selftest, thread, time,
};
use alloc::{format, string::String, vec, vec::Vec};
use core::{
    fmt::Write,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use report::Verdict;

/// The family.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "mem",
        about: "shows what memory is used",
        example: "mem",
        run: mem,
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
    Command {
        name: "fuzz",
        arguments: "[LINES [SEED [forced]]]",
        count: (0, 3),
        about: "types random lines here, and sees that the kernel goes on as before",
        more: "With `forced`, transitions are forced too, so that modules stay.",
        example: "fuzz 500 7",
        run: fuzz,
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
    let mut chosen: Vec<String> = Vec::new();
    for &pattern in patterns {
        // A group of tests, without its `::`.
        let group = format!("{pattern}::");
        if selftest::is_any(pattern) {
            chosen.push(pattern.into());
        } else if selftest::is_any(&group) {
            chosen.push(group);
        } else {
            let what = "a test's path, the start of one up to `::`, or a pattern with `*`";
            return Err(Trouble::expected(what, pattern));
        }
    }
    must_be_at_rest()?;
    let patterns: Vec<&str> = chosen.iter().map(String::as_str).collect();
    let verdict = selftest::run_while(&patterns, || {
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
pub fn put_back() -> Result<Vec<String>, Trouble> {
    super::tracing::reset()?;
    let ids: Vec<u32> = crew::members().iter().map(|one| one.id()).collect();
    crew::end(&ids);
    loop {
        if !input::wait(PATIENCE, || livepatch::running().is_none())? {
            return Err(Trouble::refused(
                "a transition does not end; `transition` shows why",
            ));
        }
        livepatch::wait();
        let newest = livepatch::patches().pop();
        let Some(name) = newest.map(|(patch, _)| String::from(patch.name())) else {
            break;
        };
        match livepatch::disable(&name) {
            // Somebody else was quicker: a patch that has faulted is taken back.
            Ok(()) | Err(LivepatchError::Busy { .. } | LivepatchError::NotEnabled(_)) => {}
            Err(error) => return Err(Trouble::refused(error)),
        }
    }
    let mut pinned = Vec::new();
    let loaded = module::loaded();
    let names: Vec<String> = loaded.iter().rev().map(|one| one.name.clone()).collect();
    drop(loaded);
    for name in names {
        if module::unload(&name).is_err() {
            pinned.push(name);
        }
    }
    variants::choose(variants::VARIANTS[0].name).map_err(Trouble::refused)?;
    if pinned.is_empty() {
        super::code::compare_text().map_err(Trouble::Refused)?;
    }
    Ok(pinned)
}

/// Whether random lines are being typed: not again by one of them.
static FUZZING: AtomicBool = AtomicBool::new(false);

fn fuzz(session: &mut Session, arguments: &[&str]) -> Outcome {
    let most = 10_000_000;
    let lines = arguments
        .first()
        .map_or(Ok(10_000), |text| names::number(text, 1, most))?;
    let seed = arguments
        .get(1)
        .map_or(Ok(1), |text| names::number(text, 1, u64::MAX))?;
    let forced = match arguments.get(2) {
        None => false,
        Some(&"forced") => true,
        Some(other) => return Err(Trouble::expected("`forced`, or nothing", other)),
    };
    must_be_at_rest()?;
    if FUZZING.swap(true, Ordering::Relaxed) {
        return Err(Trouble::refused("it runs already"));
    }
    writeln!(session.out, "typing {lines} random lines of seed {seed}")?;
    let start = arch::timebase();
    let result = fuzz::run(lines, seed, !forced);
    FUZZING.store(false, Ordering::Relaxed);
    let tally = result?;
    let took = time::duration(arch::timebase() - start);
    for row in tally.tried.chunks(5) {
        for (name, count) in row {
            write!(session.out, "  {name:<10} {count:>6}")?;
        }
        writeln!(session.out)?;
    }
    let failed = tally.failed;
    let lines = tally.lines;
    writeln!(
        session.out,
        "{lines} lines in {} ms, {failed} of them refused; the kernel is as before",
        took.as_millis()
    )?;
    Ok(())
}

/// Refuses what needs the kernel to itself.
fn must_be_at_rest() -> Outcome {
    let (traced, counted) = super::tracing::is_on()?;
    let patches = livepatch::patches();
    let modules = module::loaded();
    let what = if traced || counted {
        String::from("a tracer is attached")
    } else if let Some(one) = crew::members().first() {
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
    Err(Trouble::refused(format!(
        "it needs the kernel to itself, and {what}; `reset` puts back what can be"
    )))
}
