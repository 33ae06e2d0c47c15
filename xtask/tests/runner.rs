//! The runner against stand-ins for QEMU that do what a broken one would.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use xtask::guest::{Finished, Guest, Limits};
use xtask::machine::Machine;
use xtask::outcome::Outcome;
use xtask::qemu::Qemu;

/// Far more than any stand-in needs, and yet an end.
const AMPLE: Limits = Limits {
    silence: Duration::from_secs(30),
    total: Duration::from_secs(60),
};

/// As long as a stand-in sleeps that never ends by itself.
const FOR_EVER: Duration = Duration::from_secs(100);

/// A silence that a stand-in soon reaches.
fn of_silence(millis: u64) -> Limits {
    Limits {
        silence: Duration::from_millis(millis),
        ..AMPLE
    }
}

fn start(script: &str, limits: Limits) -> Guest {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]);
    Guest::start_command(shell, false, Some(limits)).unwrap()
}

fn run(script: &str, limits: Limits) -> Finished {
    start(script, limits).finish()
}

/// Runs the stand-in for QEMU of this name, with a report channel.
fn run_stand_in(name: &str, report: &Path, limits: Limits) -> Finished {
    let machine = Machine::find("default").unwrap();
    let mut qemu = Qemu::new(machine, Path::new("no-kernel"), "");
    let stand_ins = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand-ins");
    qemu.program = stand_ins.join(name).into();
    qemu.report = Some(report.to_owned());
    Guest::start(&qemu, false, Some(limits)).unwrap().finish()
}

#[test]
fn a_verdict_and_an_end_are_the_guests_status() {
    let finished = run("printf 'hello\\r\\nEXIT: STATUS=3\\r\\n'", AMPLE);
    assert_eq!(finished.outcome, Outcome::Guest(3));
    assert_eq!(finished.transcript, "hello\nEXIT: STATUS=3\n");
    assert!(run("echo EXIT: STATUS=0", AMPLE).outcome.passed());
}

#[test]
fn a_failing_qemu_is_quoted() {
    let finished = run("echo 'no such machine' >&2; exit 1", AMPLE);
    let Outcome::Qemu { how, stderr } = finished.outcome else {
        panic!("{:?}", finished.outcome);
    };
    assert_eq!(
        (how.as_str(), stderr.as_str()),
        ("exit status: 1", "no such machine\n")
    );
}

#[test]
fn a_verdict_does_not_excuse_a_failing_qemu() {
    let outcome = run("echo EXIT: STATUS=0; exit 2", AMPLE).outcome;
    assert!(matches!(outcome, Outcome::Qemu { .. }), "{outcome:?}");
    let outcome = run("echo EXIT: STATUS=0; kill -SEGV $$", AMPLE).outcome;
    assert!(
        matches!(&outcome, Outcome::Qemu { how, .. } if how.contains("SIGSEGV")),
        "{outcome:?}"
    );
}

#[test]
fn an_end_without_a_verdict_is_no_success() {
    assert_eq!(run("echo hello", AMPLE).outcome, Outcome::NoVerdict);
    assert_eq!(run(":", AMPLE).outcome, Outcome::NoVerdict);
    assert_eq!(
        run("echo EXIT: STATUS=0; echo more", AMPLE).outcome,
        Outcome::NoVerdict
    );
}

#[test]
fn a_silent_guest_is_killed() {
    let limits = of_silence(1000);
    let silent = Outcome::Silent {
        limit: limits.silence,
    };
    let finished = run("echo hello; exec sleep 100", limits);
    assert_eq!(finished.outcome, silent);
    assert_eq!(finished.transcript, "hello\n");
    assert!(
        finished.wall >= limits.silence && finished.wall < FOR_EVER,
        "{:?}",
        finished.wall
    );
    assert_eq!(
        silent.to_string(),
        "no verdict: the guest printed and reported nothing for 1 s"
    );
}

#[test]
fn a_guest_that_is_slow_and_says_something_now_and_then_is_waited_for() {
    // A busy host may make each pause longer, but hardly as long as a silence.
    let limits = of_silence(3000);
    let finished = run(
        "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.5; done; echo EXIT: STATUS=0",
        limits,
    );
    assert_eq!(finished.outcome, Outcome::Guest(0));
    assert!(finished.wall > limits.silence, "{:?}", finished.wall);
}

#[test]
fn what_a_guest_reports_is_a_sign_of_life_too() {
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join("signs.jsonl");
    let limits = of_silence(3000);
    let finished = run_stand_in("report", &report, limits);
    assert_eq!(finished.outcome, Outcome::Guest(0));
    assert!(finished.wall > limits.silence, "{:?}", finished.wall);
    assert_eq!(finished.transcript, "EXIT: STATUS=0\n");
}

#[test]
fn a_guest_that_prints_for_ever_is_killed_at_the_limit_of_all() {
    let limit = Duration::from_millis(300);
    let limits = Limits {
        total: limit,
        ..AMPLE
    };
    assert_eq!(run("exec yes", limits).outcome, Outcome::TimedOut { limit });
}

#[test]
fn a_guest_that_does_not_power_off_is_a_failure_of_its_own() {
    let finished = run("echo EXIT: STATUS=0; exec sleep 100", of_silence(500));
    assert_eq!(finished.outcome, Outcome::DidNotPowerOff(0));
    assert!(finished.wall < FOR_EVER, "{:?}", finished.wall);
    // Nor is a verdict the last word of a guest that then goes on.
    let chatter = "echo EXIT: STATUS=0; while :; do echo more; sleep 0.1; done";
    assert_eq!(run(chatter, of_silence(500)).outcome, Outcome::NoVerdict);
}

#[test]
fn a_verdict_that_is_not_a_whole_line_does_not_end_the_wait() {
    let limits = of_silence(1000);
    let outcome = run("printf 'EXIT: STATUS='; exec sleep 100", limits).outcome;
    let limit = limits.silence;
    assert_eq!(outcome, Outcome::Silent { limit });
}

#[test]
fn five_megabytes_without_a_line_break_are_kept() {
    let script = "head -c 5000000 /dev/zero | tr '\\0' x; printf '\\nEXIT: STATUS=0\\n'";
    let finished = run(script, AMPLE);
    assert_eq!(finished.outcome, Outcome::Guest(0));
    assert_eq!(
        finished.transcript.len(),
        5_000_000 + "\nEXIT: STATUS=0\n".len()
    );
}

#[test]
fn bytes_that_are_no_text_do_no_harm() {
    let finished = run("printf 'a\\377b\\nEXIT: STATUS=0\\n'", AMPLE);
    assert_eq!(finished.outcome, Outcome::Guest(0));
    assert!(
        finished.transcript.starts_with("a\u{fffd}b\n"),
        "{}",
        finished.transcript
    );
}

#[test]
fn a_child_that_keeps_the_console_open_is_not_waited_for() {
    let started = Instant::now();
    // Ends when the test does, or a moment later.
    let script = "sleep 100 & echo EXIT: STATUS=0";
    assert_eq!(run(script, AMPLE).outcome, Outcome::Guest(0));
    assert!(started.elapsed() < FOR_EVER, "{:?}", started.elapsed());
}

#[test]
fn a_dialogue_waits_sends_and_reads_on() {
    let mut guest = start(
        "printf '> '; read a; echo \"got $a\"; printf '> '; read b; echo; echo EXIT: STATUS=$b",
        AMPLE,
    );
    guest.expect("> ").unwrap();
    guest.send_line("one").unwrap();
    assert_eq!(guest.expect("> ").unwrap(), "got one\n> ");
    guest.send_line("0").unwrap();
    guest.expect("EXIT: STATUS=0").unwrap();
    assert_eq!(guest.finish().outcome, Outcome::Guest(0));
}

#[test]
fn a_dialogue_that_goes_wrong_says_what_came_instead() {
    let mut guest = start("echo bonjour; exec sleep 100", of_silence(1000));
    guest.expect("bonjour").unwrap();
    let error = guest.expect("hello").unwrap_err().to_string();
    assert!(
        error.contains("\"hello\"") && error.contains("nothing for 1 s"),
        "{error}"
    );

    let mut guest = start("echo bonjour", AMPLE);
    let error = guest.expect("hello").unwrap_err().to_string();
    assert!(
        error.contains("QEMU ended") && error.contains("bonjour"),
        "{error}"
    );
}

#[test]
fn a_dropped_guest_is_dead() {
    let mut guest = start("echo \"pid $$.\"; exec sleep 100", AMPLE);
    guest.expect("pid ").unwrap();
    let pid: i32 = guest
        .expect(".")
        .unwrap()
        .trim_end_matches('.')
        .parse()
        .unwrap();
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, None).unwrap();
    drop(guest);
    assert_eq!(
        nix::sys::signal::kill(pid, None),
        Err(nix::errno::Errno::ESRCH)
    );
}
