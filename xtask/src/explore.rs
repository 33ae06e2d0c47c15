//! `explore`: disturbs a patched call at every instruction, in a guest for each
//! variant, and sees that the controls are found.

use crate::guest::Finished;
use crate::image::Image;
use crate::machine::{self, Machine};
use crate::modules::Conventions;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::qemu::Qemu;
use crate::{kernel, records, variants};
use anyhow::{Context, Error, Result, bail};
use klp::Convention;
use report::Verdict;
use std::collections::VecDeque;
use std::num::NonZero;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

/// The machine that can do all variants.
pub const MACHINE: &str = "power10";

/// The same where another CPU acts: one CPU runs at a time there, until it waits, so that an
/// action is over before the call goes on.
pub const IN_TURN: &str = "icount-power10";

/// What is wrong on purpose: the guest must have findings.
pub const CONTROLS: [&str; 2] = ["racy", "both-words"];

/// The same, for another CPU to find.
pub const CONTROLS_OF_OTHER_CPU: [&str; 2] = ["one-look", "freed-at-once"];

/// What a line with a finding begins with.
const FOUND: &str = "FOUND ";

/// Options of `explore`.
#[derive(Clone, Debug, clap::Args)]
pub struct ExploreArgs {
    /// Only this variant, or this control
    #[arg(long, value_name = "NAME")]
    pub variant: Option<String>,
    /// Only some of the stops
    #[arg(long)]
    pub short: bool,
    /// The shape of machine, by its name in tests/machines.toml [default: power10; with
    /// several CPUs icount-power10]
    #[arg(long, value_name = "NAME")]
    pub machine: Option<String>,
    /// Other CPUs than the machine's: with 2, it is another CPU that acts
    #[arg(long, value_name = "NUMBER", value_parser = machine::cpus)]
    pub cpus: Option<String>,
}

impl ExploreArgs {
    fn shape(&self) -> Result<Machine> {
        let one = self.cpus.as_deref().is_none_or(|cpus| cpus == "1");
        let usual = if one { MACHINE } else { IN_TURN };
        let name = self.machine.as_deref().unwrap_or(usual);
        Ok(Machine::find(name)?.with_cpus(self.cpus.as_deref()))
    }
}

/// The variants that claim to give the caller its r2 back.
///
/// # Errors
/// As [`variants::of`].
pub fn variants(kernel: &Path) -> Result<Vec<String>> {
    let all = variants::of(kernel)?.into_iter();
    let sound = all.filter(|(_, convention)| *convention != Convention::AsPosted);
    Ok(sound.map(|(name, _)| name).collect())
}

/// Builds the kernel with all modules, and explores, each variant in a guest of its
/// own. Says whether all is as it must be: no findings of variants, and some of each
/// control.
///
/// # Errors
/// When something can't be built or started.
pub fn explore(args: &ExploreArgs) -> Result<bool> {
    let machine = args.shape()?;
    let kernel = kernel::build(Image::Lab, &Conventions::all())?;
    let names: VecDeque<String> = match &args.variant {
        Some(name) => [name.clone()].into(),
        None => (variants(&kernel)?.into_iter())
            .chain(controls(&machine).map(String::from))
            .collect(),
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let workers = workers.min(names.len());
    let progress = Progress::new(names.len());
    let (names, results) = (Mutex::new(names), Mutex::new(Vec::new()));
    let next = || names.lock().ok()?.pop_front();
    // Each guest ends with the thread that has started it.
    let work = || {
        while let Some(name) = next() {
            let result = guest(&progress, &machine, &kernel, &name, args.short);
            let good = result.and_then(|finished| tell(&progress, &name, &finished));
            if let Ok(mut results) = results.lock() {
                results.push(good.with_context(|| name.clone()));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let results = results
        .into_inner()
        .map_err(|_| Error::msg("a guest's thread has panicked"))?;
    let all: Vec<bool> = results.into_iter().collect::<Result<_>>()?;
    Ok(all.into_iter().all(|good| good))
}

/// What a machine has to find out.
fn controls(machine: &Machine) -> [&'static str; 2] {
    if machine.cpu_count() == Some(1) {
        CONTROLS
    } else {
        CONTROLS_OF_OTHER_CPU
    }
}

/// Lets a guest explore.
fn guest(
    progress: &Progress,
    machine: &Machine,
    kernel: &Path,
    name: &str,
    short: bool,
) -> Result<Finished> {
    let short = if short { " short=yes" } else { "" };
    let append = format!("mode=explore variant={name}{short}");
    let mut qemu = Qemu::new(machine.clone(), kernel, &append).with_modules(&Conventions::all());
    // One for each name, and no name leads to another folder.
    let report = format!("explore-{}", name.replace(['/', '\0'], "_"));
    qemu.report = Some(records::path(&report));
    progress.watch(name, &qemu, |_| ())
}

/// Prints what a guest has found, all of it at once. Says whether it is what it must be.
fn tell(progress: &Progress, name: &str, finished: &Finished) -> Result<bool> {
    let Finished {
        outcome,
        transcript,
        wall,
    } = finished;
    let seconds = wall.as_secs_f64();
    let is_control = [CONTROLS, CONTROLS_OF_OTHER_CPU]
        .as_flattened()
        .contains(&name);
    if let Some(findings) = as_control(transcript).filter(|_| is_control)
        && *outcome == Outcome::Guest(Verdict::ChecksFailed.status())
    {
        progress.print(&format!(
            "control {name}: found, as it must be ({seconds:.1} s):\n{findings}\n"
        ));
        return Ok(true);
    }
    // The guest's heading and verdict are the same every time.
    let lines: Vec<&str> = transcript.lines().skip(1).collect();
    let shown = lines.len().saturating_sub(1);
    let lines = lines[..shown].join("\n");
    progress.print(&format!("{lines}\n{name}: {outcome}, {seconds:.1} s\n"));
    match outcome {
        Outcome::Guest(status) if *status == Verdict::BadArgument.status() => {
            bail!("the guest knows no such variant")
        }
        _ => Ok(outcome.passed() && !is_control),
    }
}

/// The first finding of each disturbance of a control, if there are findings.
fn as_control(transcript: &str) -> Option<String> {
    let what = |line: &str| line.split(" at 0x").next().map(String::from);
    let mut last = None;
    let mut found: Vec<String> = Vec::new();
    for line in transcript.lines().filter(|line| line.starts_with(FOUND)) {
        if what(line) != last {
            last = what(line);
            found.push(format!("  {}", &line[FOUND.len()..]));
        }
    }
    (!found.is_empty()).then(|| found.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_control_each_disturbance_is_told_once() {
        let transcript = "heading\n\
            FOUND racy, settled, a at 0x10 x: one\n\
            FOUND racy, settled, a at 0x14 y: two\n\
            FOUND racy, settled, b at 0x10 x: three\n\
            EXIT: STATUS=1\n";
        let expected = "  racy, settled, a at 0x10 x: one\n  racy, settled, b at 0x10 x: three";
        assert_eq!(as_control(transcript).as_deref(), Some(expected));
        assert_eq!(as_control("heading\nEXIT: STATUS=0\n"), None);
    }
}
