//! What the trials share: one kernel, boots with a report, plain failures.

use anyhow::{Context, Result, anyhow, bail, ensure};
use klp::SHIPPED_VARIANTS;
use libtest_mimic::{Completion, Failed, Trial};
use report::Verdict;
use serde_json::Value;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use xtask::guest::{Finished, Guest, Limits};
use xtask::image::{self, Image};
use xtask::machine::Machine;
use xtask::modules::Conventions;
use xtask::outcome::Outcome;
use xtask::qemu::Qemu;

/// A trial from something that fails with an [`anyhow::Error`].
pub fn trial(name: &str, body: impl Fn() -> Result<()> + Send + 'static) -> Trial {
    let label = name.to_string();
    Trial::test(name, move || timed(&label, &body).map_err(failed))
}

/// The same, for something that may not be possible with this QEMU.
pub fn ignorable(name: &str, body: impl Fn() -> Result<Completion> + Send + 'static) -> Trial {
    let label = name.to_string();
    Trial::ignorable_test(name, move || timed(&label, &body).map_err(failed))
}

/// How long each trial has taken.
static TIMES: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

fn timed<T>(label: &str, body: &impl Fn() -> T) -> T {
    let start = Instant::now();
    let result = body();
    let mut times = TIMES.lock().unwrap_or_else(PoisonError::into_inner);
    times.push((start.elapsed(), label.to_string()));
    result
}

/// Prints which trials have taken longest.
pub fn print_slowest() {
    const SHOWN: usize = 25;
    let mut times = TIMES.lock().unwrap_or_else(PoisonError::into_inner);
    times.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    for (time, name) in times.iter().take(SHOWN) {
        println!("{:>6.1} s  {name}", time.as_secs_f64());
    }
}

fn failed(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}

/// An image of the kernel, built by the first caller, with modules of all return
/// conventions.
pub fn kernel(image: Image) -> Result<&'static Path> {
    static KERNELS: [OnceLock<Result<PathBuf, String>>; image::ALL.len()] =
        [const { OnceLock::new() }; image::ALL.len()];
    // One at a time: cargo would have the others wait too.
    static BUILDING: Mutex<()> = Mutex::new(());
    let built = KERNELS[image as usize].get_or_init(|| {
        let _alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        let built = xtask::kernel::build(image, &Conventions::all());
        built.map_err(|error| format!("{error:#}"))
    });
    built
        .as_deref()
        .map_err(|error| anyhow!("no kernel to boot: {error}"))
}

/// The variants of a kernel that did not come with the tree: no accepted output knows them.
pub fn own_variants(kernel: &Path) -> Result<Vec<String>> {
    let all = xtask::variants::of(kernel)?.into_iter();
    let mut names: Vec<String> = all.map(|(name, _)| name).collect();
    for shipped in SHIPPED_VARIANTS {
        let place = names.iter().position(|name| name == shipped);
        let place = place.with_context(|| format!("the kernel has no variant `{shipped}`"))?;
        names.remove(place);
    }
    Ok(names)
}

/// How long an answer may stay as it must not: the host may be very busy.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Asks again until the answer is as it must become, and returns that.
pub fn until(
    mut ask: impl FnMut() -> Result<String>,
    is_right: impl Fn(&str) -> bool,
) -> Result<String> {
    let begin = Instant::now();
    loop {
        let said = ask()?;
        if is_right(&said) {
            return Ok(said);
        }
        ensure!(
            begin.elapsed() < PATIENCE,
            "after {PATIENCE:?}, the answer is still:\n{said}"
        );
    }
}

/// How long a guest may be silent. More than the runner's minute: no user waits for it,
/// and the host may be very busy.
const SILENCE: Duration = Duration::from_secs(180);

/// A boot to be made.
pub struct Boot {
    machine: Machine,
    append: String,
    limits: Limits,
    report: PathBuf,
    /// In place of the one that was built.
    initrd: Option<PathBuf>,
    channel: Option<PathBuf>,
    kernel: PathBuf,
}

/// A boot that has ended.
pub struct Run {
    /// What the runner saw.
    pub finished: Finished,
    /// The records of the report channel.
    pub records: Vec<Value>,
}

impl Boot {
    /// A boot on a machine of the table. `label` is unlike that of any other
    /// boot; it names the file of the report. The arguments choose the image.
    pub fn new(label: &str, machine: &str, append: &str) -> Result<Boot> {
        let machine = Machine::find(machine)?;
        let file = format!("{}.jsonl", label.replace("::", "-"));
        Ok(Boot {
            limits: Limits::of_silence(SILENCE),
            machine,
            append: append.to_owned(),
            report: Path::new(env!("CARGO_TARGET_TMPDIR")).join(file),
            initrd: None,
            channel: None,
            kernel: kernel(image::for_boot(append))?.to_owned(),
        })
    }

    /// Another image than the arguments ask for.
    pub fn image(self, image: Image) -> Result<Boot> {
        Ok(self.kernel(kernel(image)?))
    }

    /// Another kernel than the tree's, with modules of all return conventions.
    pub fn kernel(mut self, kernel: &Path) -> Boot {
        kernel.clone_into(&mut self.kernel);
        self
    }

    /// Other CPUs than the machine's.
    pub fn cpus(mut self, cpus: &str) -> Boot {
        self.machine = self.machine.with_cpus(Some(cpus));
        self
    }

    /// Lets the guest be silent for so long, instead of the usual time.
    pub fn silence(mut self, silence: Duration) -> Boot {
        self.limits.silence = silence;
        self
    }

    /// Another initrd than the one that was built.
    pub fn initrd(mut self, initrd: &Path) -> Boot {
        self.initrd = Some(initrd.to_owned());
        self
    }

    /// With a channel for live patches, at this socket.
    pub fn channel(mut self, socket: &Path) -> Boot {
        self.channel = Some(socket.to_owned());
        self
    }

    /// What is to be started.
    pub fn qemu(&self) -> Result<Qemu> {
        let mut qemu = Qemu::new(self.machine.clone(), &self.kernel, &self.append)
            .with_modules(&Conventions::all());
        qemu.report = Some(self.report.clone());
        qemu.channel.clone_from(&self.channel);
        if self.initrd.is_some() {
            qemu.initrd.clone_from(&self.initrd);
        }
        Ok(qemu)
    }

    /// Starts the guest, for a dialogue with it.
    pub fn start(&self) -> Result<Guest> {
        Guest::start(&self.qemu()?, false, Some(self.limits))
    }

    /// Starts the guest halted, with a debugger's port. Its report is not kept.
    pub fn start_halted(&self, port: u16) -> Result<Guest> {
        let mut qemu = self.qemu()?;
        qemu.report = None;
        qemu.gdb = Some(port);
        Guest::start(&qemu, false, Some(self.limits))
    }

    /// Boots, waits for the end and reads the report, if QEMU got so far as to open it.
    pub fn run(&self) -> Result<Run> {
        match std::fs::remove_file(&self.report) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let finished = self.start()?.finish();
        let has_none = matches!(finished.outcome, Outcome::Qemu { .. }) && !self.report.exists();
        let records = if has_none {
            Vec::new()
        } else {
            self.records()?
        };
        Ok(Run { finished, records })
    }

    /// The records that the guest has reported.
    fn records(&self) -> Result<Vec<Value>> {
        let path = self.report.display();
        let text = std::fs::read_to_string(&self.report).with_context(|| path.to_string())?;
        let record = |line: &str| {
            serde_json::from_str(line)
                .with_context(|| format!("the report has a line that is not JSON: {line:?}"))
        };
        text.lines().map(record).collect()
    }
}

impl Run {
    /// Fails unless the run ended in this way, and if the verdict was the
    /// guest's, unless the last record says the same.
    pub fn expect(&self, outcome: &Outcome) -> Result<()> {
        let Finished {
            outcome: found,
            transcript,
            ..
        } = &self.finished;
        ensure!(
            found == outcome,
            "expected: {outcome}\nfound: {found}\nconsole:\n{transcript}"
        );
        // A guest that faults in its fault report has no more trust in the
        // code that writes records.
        let reports = *found != Outcome::Guest(Verdict::FaultInFault.status());
        if let (Outcome::Guest(status), true) = (found, reports) {
            let exits = self.events("exit");
            let last = self.records.last().map(|record| &record["event"]);
            ensure!(
                exits.len() == 1 && exits[0]["status"] == *status && last == Some(&"exit".into()),
                "the report does not end with the one record of status {status}: {exits:?}"
            );
        }
        Ok(())
    }

    /// Whether this QEMU does not know the machine's type, as new versions
    /// drop the oldest types.
    pub fn machine_is_unknown(&self) -> bool {
        matches!(&self.finished.outcome, Outcome::Qemu { stderr, .. }
            if stderr.contains("unsupported machine type"))
    }

    /// The records of one kind.
    pub fn events(&self, event: &str) -> Vec<&Value> {
        self.records
            .iter()
            .filter(|record| record["event"] == event)
            .collect()
    }

    /// The only record of a kind.
    pub fn event(&self, event: &str) -> Result<&Value> {
        match self.events(event)[..] {
            [record] => Ok(record),
            ref records => bail!("expected one `{event}` record, found {}", records.len()),
        }
    }
}
