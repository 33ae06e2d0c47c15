//! What is piped in, and what the boot arguments say.

use super::{PROMPT, boot, has, piped};
use crate::harness::{self, Boot};
use anyhow::{Context, Result, ensure};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::Duration;
use xtask::image::Image;
use xtask::outcome::Outcome;
use xtask::tool;

/// The example of each command works, from a kernel at rest.
pub fn examples(image: Image, machine: &str) -> Result<()> {
    let label = format!("shell::examples::{image}");
    let list = piped(&label, image, "default", "help examples")?;
    let (_, list) = list
        .transcript
        .split_once("help examples\n")
        .context("no list")?;
    let examples: Vec<&str> = list
        .lines()
        .take_while(|line| !line.starts_with("EXIT:"))
        .filter(|line| !line.trim().is_empty() && !line.starts_with(PROMPT))
        .collect();
    ensure!(
        examples.len() > 25,
        "only {} examples:\n{list}",
        examples.len()
    );
    // What stays for good would stay for the others too.
    let (gentle, forced): (Vec<&str>, Vec<&str>) = examples
        .iter()
        .partition(|example| !example.contains("force"));
    let mut script = String::new();
    for example in gentle.iter().chain(&forced) {
        // What ends the run comes last in any case.
        if *example != "poweroff" {
            script += &format!("{example}\nreset\n");
        }
    }
    script += "poweroff\n";
    let done = piped(&label, image, machine, &script)?;
    ensure!(
        done.outcome == Outcome::Guest(0),
        "{}:\n{}",
        done.outcome,
        done.transcript
    );
    for example in examples {
        has(&done.transcript, &[&format!("{PROMPT}{example}\n")])?;
    }
    Ok(())
}

/// A script is shown as if it had been typed, and fails if one of its commands does.
pub fn script() -> Result<()> {
    let script = "# nothing\n\ncall balance 3; call balance 4\nenabel kinds\ncall balance 0x10\nload kinds extra\nmem x\ncall balance x";
    let done = piped("shell::script", Image::Klplab, "default", script)?;
    has(
        &done.transcript,
        &[
            "klplab> # nothing\nklplab> \nklplab> call balance 3; call balance 4\nbalance(3) = 10303\nbalance(4) = 10406\n",
            "klplab> enabel kinds\nerror: expected a command (`help` lists them), found `enabel`; did you mean `enable`?\n",
            "klplab> call balance 0x10\nbalance(0x10) = 11721\n",
            "load: expected `load MODULE`, such as `load two_percent`\n",
            "mem: takes no arguments\n",
            "call: expected YEARS, a whole number from 0 to 20, found `x`\n\
             4 of 6 lines failed, the first: `enabel kinds`\nEXIT: STATUS=1\n",
        ],
    )?;
    ensure!(done.outcome == Outcome::Guest(1), "{}", done.outcome);
    Ok(())
}

/// What only a larger image can do is answered with where that is, and so is a boot that
/// asks for it.
pub fn elsewhere() -> Result<()> {
    let script = "step balance\nhelp bench\nselftest\nfuzz 5\nstop\ncall balance 1";
    let done = piped("shell::elsewhere", Image::Klplab, "default", script)?;
    let part = |name: &str, target: &str, image: &str| {
        format!(
            "`{name}` is not part of this image: `make {target}`, or `make shell IMAGE={image}`\n"
        )
    };
    let step = part("step", "step", "klplab-lab");
    let bench = part("bench", "bench", "klplab-lab");
    let selftest = part("selftest", "run ARGS=mode=selftest", "klplab-test");
    let fuzz = part("fuzz", "test FILTER=shell::fuzz", "klplab-test");
    let all = [step, bench, selftest, fuzz];
    has(&done.transcript, &all.each_ref().map(String::as_str))?;
    has(&done.transcript, &["found `stop`", "balance(1) = 10100\n"])?;
    for (append, needed) in [
        ("mode=matrix", "klplab-lab"),
        ("crash=panic", "klplab-test"),
    ] {
        let boot = Boot::new("shell::elsewhere::boot", "default", append)?;
        let run = boot.image(Image::Klplab)?.run()?;
        run.expect(&Outcome::Guest(2))?;
        let refusal =
            format!("boot arguments: they are for the image `{needed}` or a larger one\n");
        has(&run.finished.transcript, &[&refusal])?;
    }
    Ok(())
}

/// A script passes if all its commands work.
pub fn passes() -> Result<()> {
    let script = "enable two_percent\ncall balance 3\ndisable two_percent\ncall balance 3\nunload two_percent\nreset\npoweroff; call balance 4";
    let done = piped("shell::script::passes", Image::Klplab, "default", script)?;
    has(
        &done.transcript,
        &[
            "patch `two_percent` is enabled; it replaces 1 function\nklplab> call balance 3\nbalance(3) = 10612\n",
            "patch `two_percent` is disabled\nklplab> call balance 3\nbalance(3) = 10303\n",
            "module `two_percent` is gone\n",
            "all is as it was when the shell began\n",
        ],
    )?;
    // Nothing is done behind `poweroff`.
    ensure!(
        !done.transcript.contains("balance(4)"),
        "{}",
        done.transcript
    );
    ensure!(done.outcome == Outcome::Guest(0), "{}", done.outcome);
    Ok(())
}

/// A script that hangs the guest ends with a sentence, when the guest has been silent for
/// long enough; a script is waited for if its next line is late.
pub fn hangs() -> Result<()> {
    harness::kernel(Image::Test)?;
    let mut command = tool::cargo();
    command.args(["run", "--locked", "--quiet", "--package=xtask", "--"]);
    // The second limit ends a test that has lost the first.
    command.args([
        "shell",
        "--image=klplab-test",
        "--silence=10",
        "--timeout=300",
    ]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = tool::spawn(command.stderr(Stdio::piped()))?;
    let mut input = shell.stdin.take().context("no input")?;
    let mut printed = BufReader::new(shell.stdout.take().context("no output")?).lines();
    input.write_all(b"call leaf 3\n")?;
    printed.find(|line| matches!(line, Ok(line) if line == "leaf(3) = 10"));
    std::thread::sleep(Duration::from_secs(12));
    // What it has printed says whether it had ended by then.
    let _ = input.write_all(b"call leaf 4\nspawn busy 2\nenable test_klp_hangs\ncall leaf 5\n");
    drop(input);
    let printed = printed.collect::<Result<Vec<_>, _>>()?.join("\n");
    let output = shell.wait_with_output()?;
    ensure!(
        printed.contains("leaf(4) = 13\n") && !printed.contains("leaf(5)"),
        "{printed}"
    );
    let sentence = "klplab: no verdict: the guest printed and reported nothing for 10 s";
    has(&String::from_utf8_lossy(&output.stderr), &[sentence])?;
    ensure!(output.status.code() == Some(124), "{}", output.status);
    Ok(())
}

/// Commands in the boot arguments, and what a failed one comes to.
pub fn arguments() -> Result<()> {
    for (commands, status, text) in [
        (
            "call balance 1; poweroff",
            0,
            "klplab> call balance 1\nbalance(1) = 10100\n",
        ),
        (
            "call balance; poweroff",
            1,
            "expected `call balance YEARS (0 to 20)`, found 0 numbers\nklplab> poweroff\n\
             1 of 2 lines failed: `call balance`\nEXIT: STATUS=1\n",
        ),
    ] {
        let label = format!("shell::arguments::{status}");
        let run = boot(&label, Image::Klplab, &format!("-- {commands}"))?.run()?;
        run.expect(&Outcome::Guest(status))?;
        has(&run.finished.transcript, &[text])?;
    }
    Ok(())
}
