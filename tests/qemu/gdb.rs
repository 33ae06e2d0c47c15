//! What `make gdb` prepares, in a session without a terminal.

mod session;

use crate::harness::ignorable;
use anyhow::{Result, ensure};
use libtest_mimic::{Completion, Trial};
use session::{Said, expect, session};
use xtask::gdb;
use xtask::guest::Finished;
use xtask::outcome::Outcome;

/// The files that symbols are from.
const FILES: &str = "python print(sorted(file.filename.split('/')[-1] for file in gdb.objfiles()))";

/// One call through the trampoline and one through the settled stub, and what can be
/// seen on the way.
const DEMO: &[&str] = &[
    "klp-threads",
    "klp-follow missing",
    "break two_percent::grown",
    // Not yet: an interrupt's handler may get there while we follow another call.
    "disable",
    "continue",
    FILES,
    "x/i $pc",
    "klp-threads",
    "klp-sites",
    "klp-sites demo::bank::*",
    "klp-patches",
    "continue",
    "x/i $pc",
    "backtrace",
    "continue",
    "x/i $pc",
    "backtrace",
    "continue",
    "backtrace",
    // At the breakpoint that was pending until the module came.
    "enable",
    "continue",
    "backtrace",
    "delete",
    "continue",
    "info registers r2",
    "continue",
    "continue",
    "x/i $pc",
    "continue",
    "x/i $pc",
    "continue",
    "continue",
    "klp-follow off",
    "break four_percent::balance",
    "continue",
    "klp-patches",
    "delete",
    "continue",
];

/// Only the way by the trampoline.
const FIRST_CALL: &[&str] = &[
    "continue",
    "continue",
    "continue",
    "x/i $pc",
    "continue",
    "backtrace",
    "continue",
];

/// The tables, whichever of four CPUs is selected: here the one that has halted is not.
const SEVERAL: &[&str] = &[
    "klp-follow off",
    "break two_percent::balance",
    "continue",
    // Another CPU may be changing a table.
    "klp-settle",
    "info threads",
    "thread 1",
    "klp-threads",
    "thread 2",
    "klp-threads",
    "thread 3",
    "klp-sites",
    "thread 4",
    "klp-patches",
    "delete",
    // Called with the scheduler's lock held.
    "break thread::scheduler::switch",
    "continue",
    "klp-threads",
    "klp-settle",
    "klp-threads",
    "delete",
    "continue",
];

/// Other processors, and the firmware that takes its time.
const MACHINES: [&str; 3] = ["power8", "power10", "slof-power9"];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        ignorable("gdb::demo", || {
            with_gdb(|program| demo(session(program, "gdb::demo", "default", "", DEMO)?))
        }),
        ignorable("gdb::several_cpus", || {
            let label = "gdb::several_cpus";
            with_gdb(|program| several(session(program, label, "smp-power9", "", SEVERAL)?))
        }),
        // This variant has a frame of its own.
        first_call("gdb::mini_frame", "default", "variant=mini-frame", |said| {
            expect_first_call(
                said,
                &["std ", "r0,16(r1)"],
                &["mini_frame_return", "demo::"],
            )
        }),
    ];
    trials.extend(MACHINES.map(|machine| {
        first_call(&format!("gdb::{machine}"), machine, "", |said| {
            expect_first_call(said, &["subf ", "r11,r0,r2"], &["demo::"])
        })
    }));
    trials
}

/// A session that goes through the stages of one call.
fn first_call(
    label: &str,
    machine: &'static str,
    append: &'static str,
    check: fn(&[Said<'_>]) -> Result<()>,
) -> Trial {
    let name = label.to_owned();
    ignorable(label, move || {
        with_gdb(|program| check(&session(program, &name, machine, append, FIRST_CALL)?.0))
    })
}

/// `make test` sees to it that there is a debugger; a direct call of cargo may find none.
fn with_gdb(test: impl Fn(&str) -> Result<()>) -> Result<Completion> {
    match gdb::program() {
        Ok(program) => test(&program).map(|()| Completion::Completed),
        Err(error) => Ok(Completion::ignored_with(format!("{error:#}"))),
    }
}

const SITE: &str = "klplab: 1. site of demo::bank::balance, called from demo::";

fn demo((said, guest): (Vec<Said<'_>>, Finished)) -> Result<()> {
    // Being halted and asked has changed nothing: the demonstration checks its text, its
    // memory and each call's answer.
    ensure!(
        guest.outcome == Outcome::Guest(0),
        "{}\n{}",
        guest.outcome,
        guest.transcript
    );
    let caller = "demo::workload::";
    expect(
        &said,
        &[
            ("klp-threads", &["The kernel is not up yet"]),
            ("klp-follow missing", &["No symbol", "missing"]),
            ("break two_percent::grown", &["pending"]),
            ("disable", &[]),
            (
                "continue",
                &[
                    "symbols of module two_percent",
                    "module two_percent is gone",
                    "symbols of module two_percent",
                    SITE,
                ],
            ),
            (FILES, &["['klplab.elf', 'two_percent.debug.ko']"]),
            ("x/i $pc", &["bl "]),
            (
                "klp-threads",
                &[
                    "main",
                    "idle",
                    "livepatch",
                    "teller",
                    "sleeper",
                    "asleep",
                    "bank_paid_in < demo::bank::balance",
                    "planner",
                    "< demo::bank::balance < demo::bank::balance",
                    "gardener",
                ],
            ),
            (
                "klp-sites",
                &["patched  demo::bank::balance  bl 0x", "for livepatch\n"],
            ),
            (
                "klp-sites demo::bank::*",
                &["patched  demo::bank::balance", "at rest  demo::bank::"],
            ),
            (
                "klp-patches",
                &[
                    "two_percent: enabling\n",
                    "demo::bank::balance 0x",
                    "-> two_percent::balance 0x",
                ],
            ),
            (
                "continue",
                &["klplab: 2. trampoline of demo::bank::balance"],
            ),
            ("x/i $pc", &["std ", "r0,16(r1)"]),
            ("backtrace", &["#0  0x", "#1  0x", caller]),
            (
                "continue",
                &["klplab: 3. hand-off: on to two_percent::balance"],
            ),
            ("x/i $pc", &["subf ", "r11,r0,r2"]),
            ("backtrace", &["#0  0x", "#1  0x", caller]),
            ("continue", &["klplab: 4. replacement two_percent::balance"]),
            ("backtrace", &["#0  two_percent::balance", "#1  0x", caller]),
            ("enable", &[]),
            ("continue", &["Breakpoint", "two_percent::grown"]),
            (
                "backtrace",
                &["two_percent::grown", "two_percent::balance", caller],
            ),
            ("delete", &[]),
            (
                "continue",
                &["klplab: 5. back in demo::", "as before the call"],
            ),
            ("info registers r2", &["r2"]),
            ("continue", &[SITE]),
            (
                "continue",
                &["klplab: 2. settled stub of demo::bank::balance"],
            ),
            ("x/i $pc", &["mtlr ", "r0"]),
            (
                "continue",
                &["klplab: 3. hand-off: on to two_percent::balance"],
            ),
            ("x/i $pc", &["subf ", "r11,r0,r2"]),
            ("continue", &["klplab: 4. replacement two_percent::balance"]),
            (
                "continue",
                &["klplab: 5. back in demo::", "as before the call"],
            ),
            ("klp-follow off", &[]),
            ("break four_percent::balance", &[]),
            (
                "continue",
                &["symbols of module four_percent", "four_percent::balance"],
            ),
            (
                "klp-patches",
                &["four_percent: enabl", "-> four_percent::balance"],
            ),
            ("delete", &[]),
            (
                "continue",
                &["module four_percent is gone", "exited normally"],
            ),
        ],
    )
}

const SETTLED: &str = "No table is being changed";

fn several((said, guest): (Vec<Said<'_>>, Finished)) -> Result<()> {
    ensure!(
        guest.outcome == Outcome::Guest(0),
        "{}\n{}",
        guest.outcome,
        guest.transcript
    );
    let threads = &["main", "on CPU ", "idle/1", "idle/2", "idle/3", "teller"];
    let patch = "two_percent: enabling\n";
    expect(
        &said,
        &[
            ("klp-follow off", &[]),
            ("break two_percent::balance", &["pending"]),
            ("continue", &["Breakpoint", "two_percent::balance"]),
            ("klp-settle", &[SETTLED]),
            ("info threads", &["CPU#0", "CPU#1", "CPU#2", "CPU#3"]),
            ("thread 1", &["Switching to thread 1"]),
            ("klp-threads", threads),
            ("thread 2", &["Switching to thread 2"]),
            ("klp-threads", threads),
            ("thread 3", &["Switching to thread 3"]),
            ("klp-sites", &["patched  demo::bank::balance  bl 0x"]),
            ("thread 4", &["Switching to thread 4"]),
            ("klp-patches", &[patch, "-> two_percent::balance 0x"]),
            ("delete", &[]),
            ("break thread::scheduler::switch", &[]),
            ("continue", &["Breakpoint", "thread::scheduler::switch"]),
            ("klp-threads", &["halted while it changes its tables"]),
            ("klp-settle", &[SETTLED]),
            ("klp-threads", threads),
            ("delete", &[]),
            ("continue", &["exited normally"]),
        ],
    )
}

/// `hand_off` is its first instruction, and `callers` are those of the replacement.
fn expect_first_call(said: &[Said<'_>], hand_off: &[&str], callers: &[&str]) -> Result<()> {
    let backtrace = [&["#0  two_percent::balance"], callers].concat();
    expect(
        said,
        &[
            ("continue", &[SITE]),
            (
                "continue",
                &["klplab: 2. trampoline of demo::bank::balance"],
            ),
            (
                "continue",
                &["klplab: 3. hand-off: on to two_percent::balance"],
            ),
            ("x/i $pc", hand_off),
            ("continue", &["klplab: 4. replacement two_percent::balance"]),
            ("backtrace", &backtrace),
            (
                "continue",
                &["klplab: 5. back in demo::", "as before the call"],
            ),
        ],
    )
}
