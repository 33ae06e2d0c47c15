//! A debugger without a terminal: what it is to do, and what it says to that.

use crate::harness::{Boot, kernel};
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use xtask::guest::{Finished, Signs, Step};
use xtask::image;
use xtask::{gdb, tool};

/// How long neither the debugger nor the guest may say anything.
const SILENCE: Duration = Duration::from_secs(60);
/// How long the guest may say nothing: a debugger holds it again and again.
const LIMIT: Duration = Duration::from_secs(600);

/// What the session shows of itself begins with this.
const MARK: &str = "== ";

/// A command, and what was said to it.
pub struct Said<'a> {
    command: &'a str,
    text: String,
}

/// Has the debugger do all this, one after the other, whether a command fails or not.
pub fn session<'a>(
    program: &str,
    label: &str,
    machine: &str,
    append: &str,
    commands: &[&'a str],
) -> Result<(Vec<Said<'a>>, Finished)> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("{}.txt", label.replace("::", "-")));
    let output = File::create(&file).with_context(|| file.display().to_string())?;
    let port = gdb::free_port()?;
    let mut guest = Boot::new(label, machine, append)?
        .silence(LIMIT)
        .start_halted(port)?;
    let mut command = gdb::debugger(program, kernel(image::for_boot(append))?, port);
    command.arg("-batch").stdin(Stdio::null());
    command.stdout(output.try_clone()?).stderr(output);
    for (number, line) in commands.iter().enumerate() {
        command.args(["-ex", &format!("echo \\n{MARK}{number}\\n"), "-ex", line]);
    }
    let mut debugger = tool::spawn(&mut command)?;
    let mut signs = Signs::new(Some(file.clone()));
    let ended = gdb::until_ended(&mut debugger, &mut guest, |step| {
        if step == Step::Printed {
            signs.note();
        }
        ensure!(
            signs.silence() < SILENCE,
            "nothing was said for {SILENCE:?}"
        );
        Ok(())
    });
    let text = String::from_utf8_lossy(&tool::read_file(&file)?).into_owned();
    let status = ended.with_context(|| format!("the session so far:\n{text}"))?;
    ensure!(status.code().is_some(), "`{program}` {status}:\n{text}");
    let mut said = Vec::new();
    for (number, command) in commands.iter().enumerate() {
        let (_, behind) = text
            .split_once(&format!("\n{MARK}{number}\n"))
            .with_context(|| format!("`{command}` was not reached:\n{text}"))?;
        let (answer, _) = behind
            .split_once(&format!("\n{MARK}"))
            .unwrap_or((behind, ""));
        said.push(Said {
            command,
            text: answer.to_owned(),
        });
    }
    Ok((said, guest.finish()))
}

/// The answers in order, each with what must be in it.
pub fn expect(said: &[Said<'_>], expected: &[(&str, &[&str])]) -> Result<()> {
    ensure!(said.len() == expected.len(), "{} commands", said.len());
    for (number, (said, (command, parts))) in said.iter().zip(expected).enumerate() {
        let Said {
            command: asked,
            text,
        } = said;
        ensure!(asked == command, "command {number} is `{asked}`");
        let mut rest = &text[..];
        for part in *parts {
            let (_, behind) = rest.split_once(part).with_context(|| {
                format!("`{asked}` (number {number}) does not say `{part}`:\n{text}")
            })?;
            rest = behind;
        }
    }
    Ok(())
}
