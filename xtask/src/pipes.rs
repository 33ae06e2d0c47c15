//! What [`crate::guest`] needs of pipes and processes.

use std::io::{Read, Write};
use std::process::Command;
use std::sync::mpsc::SyncSender;

/// Passes what comes out of a pipe on to a channel, from a thread of its own,
/// until the pipe ends or the receiver is gone.
pub fn forward<T: Send + 'static>(
    mut pipe: impl Read + Send + 'static,
    channel: SyncSender<T>,
    wrap: fn(Vec<u8>) -> T,
) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        // A signal makes `read` fail although the pipe is well; there are none
        // here but those that end us. Any other error is an end like the end.
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            if channel.send(wrap(buffer[..count].to_vec())).is_err() {
                break;
            }
        }
    });
}

/// Prints bytes as they are, at once.
pub fn pass_on(to: &mut impl Write, bytes: &[u8]) {
    // If our output has no reader any more, the run still has an outcome.
    let _ = to.write_all(bytes).and_then(|()| to.flush());
}

/// Has the kernel kill the child when the thread that starts it ends, be it
/// because the whole process was killed.
#[cfg(target_os = "linux")]
pub fn die_with_this_thread(command: &mut Command) {
    use nix::errno::Errno;
    use nix::sys::{prctl::set_pdeathsig, signal::Signal};
    use nix::unistd::{Pid, getpid, getppid};
    use std::os::unix::process::CommandExt;

    let parent: Pid = getpid();
    let prepare = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        // We may have died before that call: then no signal will come.
        if getppid() != parent {
            return Err(Errno::ESRCH.into());
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed.
    // prctl and getppid are, and making an io::Error from an errno does not
    // allocate.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// Other systems have nothing like it: there, only dropping the guest ends it.
#[cfg(not(target_os = "linux"))]
pub fn die_with_this_thread(_command: &mut Command) {}
