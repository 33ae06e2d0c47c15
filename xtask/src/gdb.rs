//! `gdb`: the kernel under a debugger, stopped at its first Rust function.

use crate::guest::{Guest, Step};
use crate::machine::Machine;
use crate::modules::Conventions;
use crate::qemu::Qemu;
use crate::tool;
use crate::{image, kernel, modules};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How often to look whether the debugger has ended.
const LOOK: Duration = Duration::from_millis(50);

/// What prepares the debugger, once the kernel has reached its first Rust function.
const SCRIPT: &str = "scripts/gdb/start.py";

/// Builds the kernel and starts QEMU, halted, and a debugger that is attached to it. Ends QEMU when
/// the debugger ends.
///
/// # Errors
/// When there is no such machine, the kernel does not build, one of the two
/// programs is missing or can't be started, or the debugger fails.
pub fn gdb(machine: &str, cpus: Option<&str>, append: &str) -> Result<()> {
    let machine = Machine::find(machine)?.with_cpus(cpus);
    let program = program()?;
    let conventions = Conventions::for_boot(append);
    let kernel = kernel::build(image::for_boot(append), &conventions)?;
    let port = free_port()?;
    let mut qemu = Qemu::new(machine, &kernel, append).with_modules(&conventions);
    qemu.gdb = Some(port);
    let mut command = qemu.command();
    // Ctrl-C stops the guest, through the debugger; it must not end QEMU.
    command.process_group(0);
    let mut guest = Guest::start_command(command, true, None)?;
    let mut debugger = tool::spawn(&mut debugger(&program, &kernel, port))?;
    // Nor must Ctrl-C end us. (After the debugger was started, because a
    // program inherits which signals are ignored.)
    // SAFETY: no handler of ours is installed; the signal is only ignored.
    unsafe { signal(Signal::SIGINT, SigHandler::SigIgn) }.context("SIGINT can't be ignored")?;
    let status = until_ended(&mut debugger, &mut guest, |_| Ok(()))?;
    // It has said itself what was wrong.
    ensure!(
        !guest.has_failed(),
        "QEMU failed, and the debugger was ended"
    );
    ensure!(status.success(), "`{program}` failed ({status})");
    Ok(())
}

/// Passes on what the guest prints until the debugger has ended, and says how. When QEMU
/// has failed, there is nothing left to look at, and the debugger is ended.
///
/// `watch` is called all the time with what the guest has done; by an error, it ends the
/// debugger.
///
/// # Errors
/// That of `watch`, or when the debugger's end can't be seen.
pub fn until_ended(
    debugger: &mut Child,
    guest: &mut Guest,
    mut watch: impl FnMut(Step) -> Result<()>,
) -> Result<ExitStatus> {
    loop {
        let step = guest.step(Instant::now() + LOOK);
        let ended = debugger.try_wait();
        if let Some(status) = ended.context("the debugger's end can't be seen")? {
            return Ok(status);
        }
        if let Err(error) = watch(step) {
            // Fails only if it has ended in this moment.
            let _ = debugger.kill();
            let _ = debugger.wait();
            return Err(error);
        }
        if step == Step::Ended {
            if guest.has_failed() {
                // So that it leaves the terminal as it was. Fails only if it has ended.
                let _ = kill(Pid::from_raw(debugger.id().cast_signed()), Signal::SIGTERM);
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// The debugger: what `GDB` in the environment names, else the usual one.
///
/// # Errors
/// When it is not there: what to install.
pub fn program() -> Result<String> {
    let named = std::env::var("GDB").ok().filter(|name| !name.is_empty());
    let program = named.unwrap_or_else(|| "gdb-multiarch".into());
    if tool::require(&program).is_err() {
        bail!(
            "`{program}` not found: on Debian or Ubuntu, `apt install gdb-multiarch` installs it; \
             elsewhere, name a gdb that knows powerpc64 and Python with GDB=... in the environment"
        );
    }
    Ok(program)
}

/// A debugger for the kernel in a QEMU that waits at a local port: it lets the kernel
/// run to its first Rust function, and prepares what docs/debugger.md describes.
#[must_use]
pub fn debugger(program: &str, kernel: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command.args(["-q", "-nx"]);
    // What the ELF file does not say by itself; then QEMU's halted processor.
    command.args(["-ex", "set architecture powerpc:common64"]);
    command.args(["-ex", "set endian little"]);
    command.args(["-ex", &format!("target remote 127.0.0.1:{port}")]);
    // QEMU shows registers in the byte order that the processor is in, and it
    // starts in big endian: what gdb says before this is backwards.
    command.args(["-ex", "tbreak boot_main", "-ex", "continue"]);
    let script = tool::workspace().join(SCRIPT);
    command
        .arg("-ex")
        .arg(format!("source {}", script.display()));
    command.env("KLPLAB_MODULES", modules::folder(kernel));
    command.arg(kernel);
    command
}

/// A port that is free now. QEMU takes it a moment later; if something else
/// was faster, QEMU says so and the debugger finds nothing.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    let port = || std::io::Result::Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port());
    port().context("no TCP port for the debugger")
}
