//! The program as a whole, with stand-ins for QEMU.

mod common;

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use object::{Architecture, Endianness};
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const ROOM: Option<usize> = Some(4096);

/// A kernel file of this name, which only one test uses.
fn kernel_file(name: &str, reserve: Option<usize>) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let elf = common::kernel(Architecture::PowerPc64, Endianness::Little, reserve);
    std::fs::write(&path, elf).unwrap();
    path
}

fn xtask(qemu: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let stand_ins = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand-ins");
    command.env("QEMU", stand_ins.join(qemu));
    // What it writes shall not meet a real kernel.
    command.env("CARGO_TARGET_DIR", env!("CARGO_TARGET_TMPDIR"));
    command
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn exec_embeds_boots_and_reports() {
    let kernel = kernel_file("exec", ROOM);
    let output = xtask("pass")
        .arg("exec")
        .arg(kernel)
        .args(["mode=run", "log=info"])
        .output();
    let output = output.unwrap();
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert_eq!(output.stdout, b"hello\nEXIT: STATUS=0\n");
    let said = stderr(&output);
    let ready = Path::new(env!("CARGO_TARGET_TMPDIR")).join("klplab/exec.elf");
    assert!(
        said.contains(&format!("-kernel {}", ready.display())),
        "{said}"
    );
    assert!(said.contains("-append 'mode=run log=info'"), "{said}");
    assert!(
        said.contains("klplab: the guest passed (status 0), after "),
        "{said}"
    );
}

#[test]
fn a_kernel_without_room_for_symbols_is_not_started() {
    let output = xtask("pass")
        .arg("exec")
        .arg(kernel_file("bare", None))
        .output()
        .unwrap();
    assert_eq!(code(&output), Some(120));
    assert!(
        stderr(&output).contains("no section .ksyms"),
        "{}",
        stderr(&output)
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn a_missing_qemu_is_a_sentence() {
    let kernel = kernel_file("missing", ROOM);
    let output = xtask("pass")
        .env("QEMU", "no-such-qemu")
        .arg("exec")
        .arg(kernel)
        .output()
        .unwrap();
    assert_eq!(code(&output), Some(120));
    let said = stderr(&output);
    assert!(
        said.ends_with("error: `no-such-qemu` not found: run `make doctor`\n"),
        "{said}"
    );
}

#[test]
fn wrong_options_are_not_mistaken_for_a_verdict() {
    for arguments in [
        &["--machine", "vax"][..],
        &["--timeout", "0"],
        &["--silence", "-1"],
        &["--no-such-option"],
        &["exec", "no-such-file"],
    ] {
        let output = xtask("pass").args(arguments).output().unwrap();
        assert_eq!(code(&output), Some(120), "{arguments:?}");
        assert!(
            stderr(&output).starts_with("error: "),
            "{}",
            stderr(&output)
        );
    }
    assert_eq!(
        code(&xtask("pass").arg("--help").output().unwrap()),
        Some(0)
    );
}

/// Starts a runner with a guest that hangs, sends the runner a signal, and
/// sees that the guest's process goes away as well.
fn qemu_dies_when_the_runner_gets(sent: Signal) {
    let kernel = kernel_file(sent.as_str(), ROOM);
    let mut runner = xtask("hang");
    runner
        .arg("exec")
        .arg(kernel)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    // A shell has what it starts in the background ignore interrupts, and so would the runner.
    let take = || {
        // SAFETY: no handler is installed.
        unsafe { signal(Signal::SIGINT, SigHandler::SigDfl) }?;
        Ok(())
    };
    // SAFETY: `signal` is async-signal-safe.
    unsafe { runner.pre_exec(take) };
    let mut runner = runner.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(runner.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let guest = Pid::from_raw(line.trim().strip_prefix("pid ").unwrap().parse().unwrap());
    assert!(is_alive(guest));
    kill(Pid::from_raw(runner.id().cast_signed()), sent).unwrap();
    assert_eq!(runner.wait().unwrap().signal(), Some(sent as i32));
    let limit = Instant::now() + Duration::from_secs(60);
    while is_alive(guest) {
        assert!(
            Instant::now() < limit,
            "process {guest} outlived the runner"
        );
        std::thread::yield_now();
    }
}

/// Whether a process runs. One that only waits for its parent to look at its
/// end does not.
fn is_alive(pid: Pid) -> bool {
    if kill(pid, None) == Err(Errno::ESRCH) {
        return false;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat
        .rsplit(')')
        .next()
        .is_none_or(|rest| rest.trim_start().starts_with('Z'))
}

#[test]
#[cfg(target_os = "linux")]
fn qemu_dies_with_a_killed_runner() {
    qemu_dies_when_the_runner_gets(Signal::SIGKILL);
}

#[test]
#[cfg(target_os = "linux")]
fn qemu_dies_with_an_interrupted_runner() {
    qemu_dies_when_the_runner_gets(Signal::SIGINT);
}

#[test]
#[cfg(target_os = "linux")]
fn qemu_dies_with_a_terminated_runner() {
    qemu_dies_when_the_runner_gets(Signal::SIGTERM);
}
