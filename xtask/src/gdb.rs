//! `gdb`: the kernel under a debugger, stopped at its first Rust function.

use crate::guest::Guest;
use crate::kernel;
use crate::machine::Machine;
use crate::modules::Conventions;
use crate::qemu::Qemu;
use crate::tool;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{SigHandler, Signal, signal};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// How often to look whether the debugger has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Builds the kernel and starts QEMU, halted, and a debugger that is attached to it. Ends QEMU when
/// the debugger ends.
///
/// # Errors
/// When there is no such machine, the kernel does not build, one of the two
/// programs is missing or can't be started, or the debugger fails.
pub fn gdb(machine: &str, append: &str) -> Result<()> {
    let machine = Machine::find(machine)?;
    let named = std::env::var("GDB").ok().filter(|name| !name.is_empty());
    let program = named.unwrap_or_else(|| "gdb-multiarch".into());
    if tool::require(&program).is_err() {
        bail!(
            "`{program}` not found: on Debian or Ubuntu, `apt install gdb-multiarch` installs it; \
             elsewhere, name a gdb that knows powerpc64 with GDB=... in the environment"
        );
    }
    let conventions = Conventions::for_boot(append);
    let kernel = kernel::build_with(&conventions)?;
    let port = free_port().context("no TCP port for the debugger")?;
    let mut qemu = Qemu::new(machine, &kernel, append).with_modules(&conventions);
    qemu.gdb = Some(port);
    let mut command = qemu.command();
    // Ctrl-C stops the guest, through the debugger; it must not end QEMU.
    command.process_group(0);
    let mut guest = Guest::start_command(command, true, None)?;

    let mut command = Command::new(&program);
    command.arg("-q");
    // What the ELF file does not say by itself; then QEMU's halted processor.
    command.args([
        "-ex",
        "set architecture powerpc:common64",
        "-ex",
        "set endian little",
    ]);
    command.args(["-ex", &format!("target remote 127.0.0.1:{port}")]);
    // QEMU shows registers in the byte order that the processor is in, and it
    // starts in big endian: what gdb says before this is backwards.
    command
        .args(["-ex", "tbreak boot_main", "-ex", "continue"])
        .arg(&kernel);
    let mut debugger = tool::spawn(&mut command)?;
    // Nor must Ctrl-C end us. (After the debugger was started, because a
    // program inherits which signals are ignored.)
    // SAFETY: no handler of ours is installed; the signal is only ignored.
    unsafe { signal(Signal::SIGINT, SigHandler::SigIgn) }.context("SIGINT can't be ignored")?;

    loop {
        guest.step(Instant::now() + LOOK);
        if let Some(status) = debugger
            .try_wait()
            .context("the debugger's end can't be seen")?
        {
            ensure!(status.success(), "`{program}` failed ({status})");
            return Ok(());
        }
    }
}

/// A port that is free now. QEMU takes it a moment later; if something else
/// was faster, QEMU says so and the debugger finds nothing.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
