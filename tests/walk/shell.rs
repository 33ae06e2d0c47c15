//! Runs commands in a tree, as long as they print something now and then.

use crate::tree::Tree;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;
use xtask::tool;

/// How long a command may print nothing: cargo does so while it compiles the kernel, on a
/// machine that is busy.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs commands in a shell. Says whether they ended well, and what they printed,
/// errors included.
///
/// # Errors
/// When they can't be run, or print nothing for too long: then they are killed.
pub fn run(tree: &Tree, commands: &str) -> Result<(bool, String)> {
    run_within(tree, commands, "", LIMIT)
}

/// The same for commands that read something.
///
/// # Errors
/// Those of [`run`].
pub fn run_typing(tree: &Tree, commands: &str, input: &str) -> Result<(bool, String)> {
    run_within(tree, commands, input, LIMIT)
}

fn run_within(
    tree: &Tree,
    commands: &str,
    input: &str,
    silence: Duration,
) -> Result<(bool, String)> {
    let mut running = Running::start(tree, commands, silence)?;
    running.type_in(input);
    running.input = None;
    let printed = running.listen(None)?;
    Ok((running.has_succeeded()?, printed))
}

/// Commands that run. With the value, they end, and all that they have started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<Vec<u8>>,
    silence: Duration,
}

impl Running {
    /// Starts commands in a shell, to be typed to.
    ///
    /// # Errors
    /// When they can't be run.
    pub fn open(tree: &Tree, commands: &str) -> Result<Running> {
        Running::start(tree, commands, LIMIT)
    }

    fn start(tree: &Tree, commands: &str, silence: Duration) -> Result<Running> {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec 2>&1\n{commands}")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // A group of its own, so that whatever it starts can be killed with it.
        command.process_group(0);
        let mut child = tool::spawn(tree.prepare(&mut command))?;
        let mut printed = child.stdout.take().context("no output")?;
        let (sender, output) = mpsc::channel();
        // Ends with the last process that could print.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = printed.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Running {
            input: child.stdin.take(),
            child,
            output,
            silence,
        })
    }

    /// Types something.
    pub fn type_in(&mut self, text: &str) {
        if let Some(to) = &mut self.input {
            // Fits into the pipe. A command that does not read it says why itself.
            let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
        }
    }

    /// What is printed from now on, until these are all that is printed since a line's end, which
    /// are left out; without them, or if they do not come, until the end.
    ///
    /// # Errors
    /// When nothing is printed for too long: then all that runs is killed.
    pub fn listen(&mut self, end: Option<&str>) -> Result<String> {
        let mut printed = Vec::new();
        loop {
            match self.output.recv_timeout(self.silence) {
                Ok(bytes) => printed.extend(bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    self.kill();
                    let said = String::from_utf8_lossy(&printed);
                    bail!(
                        "it printed nothing for {} s, and before that:\n{said}",
                        self.silence.as_secs_f64()
                    );
                }
            }
            let before = end.and_then(|end| printed.strip_suffix(end.as_bytes()));
            if let Some(before @ ([] | [.., b'\n'])) = before {
                printed.truncate(before.len());
                break;
            }
        }
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    fn has_succeeded(&mut self) -> Result<bool> {
        let status = self.child.wait().context("its end can't be seen")?;
        Ok(status.success())
    }

    fn kill(&mut self) {
        let _ = killpg(
            Pid::from_raw(self.child.id().cast_signed()),
            Signal::SIGKILL,
        );
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its number is another's once it was waited for.
        if let Ok(None) = self.child.try_wait() {
            self.kill();
        }
    }
}

/// Runs a program with a text as its input.
///
/// # Errors
/// When it can't be run, or fails: with what it said.
pub fn feed(tree: &Tree, program: &[&str], text: &str) -> Result<()> {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = tool::spawn(tree.prepare(&mut command))?;
    let mut input = child.stdin.take().context("no input")?;
    // A program that reads nothing says why itself.
    let _ = input.write_all(text.as_bytes());
    drop(input);
    let output = child.wait_with_output().context("its end can't be seen")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_run_in_the_tree_and_killed_when_it_falls_silent() {
        let tree = Tree::bare("shell").unwrap();
        let (well, printed) = run(&tree, "pwd; echo b >&2; exit 3").unwrap();
        assert!(!well);
        assert_eq!(printed, format!("{}\nb\n", tree.path().display()));
        let read = run_typing(&tree, "read a; read b; echo $b$a", "x\ny\n").unwrap();
        assert_eq!(read, (true, "yx\n".to_owned()));
        // Slow, but never silent for long.
        let silence = Duration::from_secs(1);
        let slow = "for a in 1 2 3 4 5; do echo $a; sleep 0.3; done";
        assert!(run_within(&tree, slow, "", silence).unwrap().0);
        // The background process holds the output open, and is killed too.
        let error = run_within(&tree, "echo a; sleep 1000 & sleep 1000", "", silence);
        assert_eq!(
            error.unwrap_err().to_string(),
            "it printed nothing for 1 s, and before that:\na\n"
        );
    }

    #[test]
    fn what_runs_is_typed_to_and_ends_with_the_value() {
        let tree = Tree::bare("running").unwrap();
        let reads = "printf 'well\\n> '; while read a; do printf \"$a\\n> \"; done; echo end";
        let mut running = Running::open(&tree, reads).unwrap();
        assert_eq!(running.listen(Some("> ")).unwrap(), "well\n");
        running.type_in("one > two\n");
        assert_eq!(running.listen(Some("> ")).unwrap(), "one > two\n");
        let group = running.child.id();
        drop(running);
        assert!(!std::path::Path::new(&format!("/proc/{group}")).exists());
        let mut running = Running::open(&tree, "echo end").unwrap();
        assert_eq!(running.listen(Some("> ")).unwrap(), "end\n");
    }

    #[test]
    fn what_a_program_complains_of_is_told() {
        let tree = Tree::bare("feed").unwrap();
        feed(&tree, &["sh", "-c", "read a && test $a = x"], "x\n").unwrap();
        let error = feed(&tree, &["sh", "-c", "echo bad >&2; false"], "x\n").unwrap_err();
        assert_eq!(error.to_string(), "bad");
    }
}
