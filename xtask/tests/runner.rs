//! The runner against stand-ins for QEMU that do what a broken one would.

use std::process::Command;
use std::time::{Duration, Instant};
use xtask::guest::{Finished, Guest};
use xtask::outcome::Outcome;

/// Far more than any stand-in needs, and yet an end.
const AMPLE: Duration = Duration::from_secs(30);

fn start(script: &str, limit: Duration) -> Guest {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]);
    Guest::start_command(shell, false, Some(limit)).unwrap()
}

fn run(script: &str, limit: Duration) -> Finished {
    start(script, limit).finish()
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
fn a_hanging_guest_is_killed_at_its_time_limit() {
    let limit = Duration::from_millis(300);
    let started = Instant::now();
    let finished = run("echo hello; exec sleep 60", limit);
    assert_eq!(finished.outcome, Outcome::TimedOut { limit });
    assert_eq!(finished.transcript, "hello\n");
    assert!(
        finished.wall >= limit && started.elapsed() < AMPLE,
        "{:?}",
        finished.wall
    );
}

#[test]
fn a_guest_that_prints_for_ever_is_killed_too() {
    let limit = Duration::from_millis(300);
    assert_eq!(run("exec yes", limit).outcome, Outcome::TimedOut { limit });
}

#[test]
fn a_guest_that_does_not_power_off_is_a_failure_of_its_own() {
    let finished = run("echo EXIT: STATUS=0; exec sleep 60", AMPLE);
    assert_eq!(finished.outcome, Outcome::DidNotPowerOff(0));
    assert!(finished.wall < AMPLE, "{:?}", finished.wall);
    // Nor is a verdict the last word of a guest that then goes on.
    let finished = run("echo EXIT: STATUS=0; echo more; exec sleep 60", AMPLE);
    assert_eq!(finished.outcome, Outcome::NoVerdict);
}

#[test]
fn a_verdict_that_is_not_a_whole_line_does_not_end_the_wait() {
    let limit = Duration::from_millis(300);
    let outcome = run("printf 'EXIT: STATUS='; exec sleep 60", limit).outcome;
    assert_eq!(outcome, Outcome::TimedOut { limit });
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
    assert_eq!(
        run("sleep 20 & echo EXIT: STATUS=0", AMPLE).outcome,
        Outcome::Guest(0)
    );
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_dialogue_waits_sends_and_reads_on() {
    let mut guest = start(
        "printf '> '; read a; echo \"got $a\"; printf '> '; read b; echo; echo EXIT: STATUS=$b",
        AMPLE,
    );
    guest.expect("> ", AMPLE).unwrap();
    guest.send_line("one").unwrap();
    assert_eq!(guest.expect("> ", AMPLE).unwrap(), "got one\n> ");
    guest.send_line("0").unwrap();
    guest.expect("EXIT: STATUS=0", AMPLE).unwrap();
    assert_eq!(guest.finish().outcome, Outcome::Guest(0));
}

#[test]
fn a_dialogue_that_goes_wrong_says_what_came_instead() {
    let mut guest = start("echo bonjour; exec sleep 60", AMPLE);
    guest.expect("bonjour", AMPLE).unwrap();
    let error = guest
        .expect("hello", Duration::from_millis(100))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\"hello\"") && error.contains("in time"),
        "{error}"
    );

    let mut guest = start("echo bonjour", AMPLE);
    let error = guest.expect("hello", AMPLE).unwrap_err().to_string();
    assert!(
        error.contains("QEMU ended") && error.contains("bonjour"),
        "{error}"
    );
}

#[test]
fn a_dropped_guest_is_dead() {
    let mut guest = start("echo \"pid $$.\"; exec sleep 60", AMPLE);
    guest.expect("pid ", AMPLE).unwrap();
    let pid: i32 = guest
        .expect(".", AMPLE)
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
