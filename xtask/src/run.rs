//! `run` and `exec`: boots a kernel and says how that went.

use crate::guest::{Guest, Limits};
use crate::image::{self, Image};
use crate::live::channel;
use crate::machine::{self, Firmware, Machine};
use crate::modules::Conventions;
use crate::outcome::Outcome;
use crate::qemu::Qemu;
use anyhow::{Context, Result, ensure};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ChildStdin;
use std::time::Duration;

/// Options of `run`.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// The shape of machine, by its name in tests/machines.toml
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub machine: String,
    /// Another processor than the machine's, as QEMU names it
    #[arg(long, value_name = "NAME")]
    pub cpu: Option<String>,
    /// Another size of memory than the machine's, such as 512M or 2G
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Another firmware than the machine's
    #[arg(long, value_name = "NAME")]
    pub firmware: Option<Firmware>,
    /// Other CPUs than the machine's, such as 4, or 8,threads=4 for cores of four threads
    #[arg(long, value_name = "NUMBER", value_parser = machine::cpus)]
    pub cpus: Option<String>,
    /// Let time count instructions, one a nanosecond
    #[arg(long)]
    pub icount: bool,
    /// Boot arguments for the kernel, such as "mode=selftest log=debug"
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        hide_default_value = true
    )]
    pub append: String,
    /// The image to boot: klplab, klplab-lab or klplab-test [default: the smallest that can
    /// do what the boot arguments ask for]
    #[arg(long, value_name = "NAME", value_parser = image::named)]
    pub image: Option<Image>,
    /// Modules in these return conventions besides the usual one: names with commas
    /// between them, or all [default: what the boot arguments ask for]
    #[arg(long, value_name = "NAMES")]
    pub conventions: Option<Conventions>,
    /// How long the guest may print and report nothing [default: 60]; for ever with
    /// --interactive or --gdb
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub silence: Option<Duration>,
    /// How long the run may take in all [default: 3600]; for ever with --interactive or
    /// --gdb
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// Write the guest's report, one JSON object a line, to this file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Wait for a debugger at this local TCP port before the guest runs
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "1234")]
    pub gdb: Option<u16>,
    /// Pass standard input on to the guest's console, without a time limit
    #[arg(long)]
    pub interactive: bool,
}

/// A limit as it is typed.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(limit) if limit > Duration::ZERO => Ok(limit),
        _ => Err("not a positive number of seconds".to_owned()),
    }
}

impl Default for RunArgs {
    /// What `run` without any option means.
    fn default() -> RunArgs {
        RunArgs {
            machine: "default".into(),
            cpu: None,
            memory: None,
            firmware: None,
            cpus: None,
            icount: false,
            append: String::new(),
            image: None,
            conventions: None,
            silence: None,
            timeout: None,
            report: None,
            gdb: None,
            interactive: false,
        }
    }
}

impl RunArgs {
    /// The image that is needed.
    #[must_use]
    pub fn image(&self) -> Image {
        self.image.unwrap_or_else(|| image::for_boot(&self.append))
    }

    /// The conventions that modules are needed in.
    #[must_use]
    pub fn conventions(&self) -> Conventions {
        let asked = self.conventions.clone();
        asked.unwrap_or_else(|| Conventions::for_boot(&self.append))
    }

    /// The machine that the options describe.
    ///
    /// # Errors
    /// When there is no machine of that name; the message lists those there are.
    pub fn shape(&self) -> Result<Machine> {
        let mut machine = Machine::find(&self.machine)?;
        if let Some(cpu) = &self.cpu {
            machine.cpu.clone_from(cpu);
        }
        if let Some(memory) = &self.memory {
            machine.memory.clone_from(memory);
        }
        if let Some(firmware) = self.firmware {
            machine.firmware = firmware;
        }
        machine.icount |= self.icount;
        if image::shows(&self.append) {
            machine = machine.to_be_shown();
        }
        Ok(machine.with_cpus(self.cpus.as_deref()))
    }
}

/// Boots a kernel as the options say, passes its console on, and says on
/// standard error how it ended.
///
/// # Errors
/// When the options are wrong or QEMU can't be started. Whatever happens after
/// that is an [`Outcome`].
pub fn run(kernel: &Path, args: &RunArgs) -> Result<Outcome> {
    let machine = args.shape()?;
    let waits_for_people = args.interactive || args.gdb.is_some();
    let limits = Limits::asked(args.silence, args.timeout, waits_for_people);
    let mut qemu = Qemu::new(machine, kernel, &with_colour(&args.append, wants_colour()))
        .with_modules(&args.conventions());
    qemu.report.clone_from(&args.report);
    qemu.gdb = args.gdb;
    if image::lives(&args.append) {
        qemu.channel = channel::offer();
    }
    if let Some(report) = &args.report {
        // QEMU would fail on a bad path too, but in its own words.
        std::fs::File::create(report)
            .with_context(|| format!("{} could not be written", report.display()))?;
    }
    ensure!(
        !args.append.contains('\0'),
        "the boot arguments contain a zero character"
    );
    if let Some(port) = args.gdb {
        eprintln!("klplab: the guest waits for a debugger at localhost:{port}");
    }

    let mut guest = Guest::start(&qemu, true, limits)?;
    if args.interactive
        && let Some(input) = guest.take_input()
    {
        feed_from_stdin(input);
    }
    let finished = guest.finish();
    let seconds = finished.wall.as_secs_f64();
    // The guest may have stopped in the middle of a line.
    if !finished.transcript.is_empty() && !finished.transcript.ends_with('\n') {
        println!();
    }
    let how = match &finished.outcome {
        // What it said was passed on as it came.
        Outcome::Qemu { how, .. } => format!("QEMU failed with {how} (see above)"),
        outcome => outcome.to_string(),
    };
    eprintln!("klplab: {how}, after {seconds:.2} s");
    Ok(finished.outcome)
}

/// Whether the user sees colours on standard output and has not refused them (see
/// no-color.org).
pub(crate) fn wants_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// The guest can't know what is behind its console, so it is told, unless the
/// user has.
pub(crate) fn with_colour(append: &str, wanted: bool) -> String {
    let said = append
        .split_whitespace()
        .any(|word| word.split('=').next() == Some("color"));
    match (wanted && !said, append.trim()) {
        (false, words) => words.to_owned(),
        (true, "") => "color=always".to_owned(),
        (true, words) => format!("color=always {words}"),
    }
}

fn feed_from_stdin(mut input: ChildStdin) {
    // Ends with the process: nothing can interrupt a read from a terminal.
    std::thread::spawn(move || std::io::copy(&mut std::io::stdin().lock(), &mut input));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_override_the_machine() {
        let args = RunArgs {
            cpu: Some("power10".into()),
            memory: Some("1G".into()),
            firmware: Some(Firmware::Slof),
            cpus: Some("4".into()),
            icount: true,
            ..RunArgs::default()
        };
        let machine = args.shape().unwrap();
        assert_eq!(machine.cpu, "power10");
        assert_eq!(machine.memory_bytes(), Some(1 << 30));
        assert_eq!(machine.firmware, Firmware::Slof);
        assert_eq!(machine.cpus, "4");
        assert!(machine.icount);
    }

    #[test]
    fn a_person_sees_two_cpus_unless_others_are_asked_for() {
        let cpus = |machine: &str, cpus: Option<&str>, append: &str| {
            let args = RunArgs {
                machine: machine.into(),
                cpus: cpus.map(Into::into),
                append: append.into(),
                ..RunArgs::default()
            };
            args.shape().unwrap().cpus
        };
        assert_eq!(cpus("default", None, ""), "2");
        assert_eq!(cpus("power8", None, "mode=shell -- cpus"), "2");
        assert_eq!(cpus("default", Some("1"), ""), "1");
        assert_eq!(cpus("smp-power9", None, ""), "4");
        // What counts, and what tests, has one.
        assert_eq!(cpus("icount", None, ""), "1");
        assert_eq!(cpus("default", None, "mode=selftest"), "1");
        assert_eq!(cpus("default", None, "crash=panic"), "1");
    }

    #[test]
    fn colour_is_asked_for_unless_the_user_decides() {
        assert_eq!(with_colour("", true), "color=always");
        assert_eq!(with_colour("log=info", true), "color=always log=info");
        assert_eq!(
            with_colour(" color=never log=info", true),
            "color=never log=info"
        );
        assert_eq!(with_colour("log=info", false), "log=info");
        assert_eq!(with_colour("", false), "");
    }

    #[test]
    fn a_time_limit_is_a_positive_number() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["0", "-1", "soon", "", "inf", "nan", "1e300"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
