//! The channel: what comes from the host into the running kernel, and what no client of ours
//! would send.

mod broken;

use crate::harness::{Boot, kernel, trial, until};
use anyhow::{Context, Result, bail, ensure};
use channel::MOST_BYTES;
use libtest_mimic::Trial;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use walk::shell::{self, Running as Commands};
use walk::tree::Tree;
use xtask::guest::Guest;
use xtask::image::Image;
use xtask::live::channel::{Channel, ChannelError, Limits, State, fresh, kernels};
use xtask::modules::Conventions;
use xtask::outcome::Outcome;
use xtask::{modules, tool};

const PROMPT: &str = "klplab> ";

pub fn trials() -> Vec<Trial> {
    let patch = |name: &'static str, machine: &'static str| {
        trial(name, move || a_patch_comes_and_goes(name, machine))
    };
    vec![
        patch("live::channel-patch", "default"),
        patch("live::channel-patch-smp", "smp-power9"),
        patch("live::channel-patch-power8", "smp-power8"),
        patch("live::channel-patch-slof", "smp-slof-power9"),
        trial("live::channel-blocked", blocked),
        trial("live::channel-refused", refused),
        trial("live::channel-damage", broken::damage),
        trial("live::channel-clients", broken::clients),
        trial("live::channel-speed", speed),
        trial("live::channel-stopped", broken::stopped),
        trial("live::channel-absent", absent),
        trial("live::patch-file", patch_file),
    ]
}

/// A patch file becomes a module while no kernel runs; and with the kernel that it is for, which was
/// built before, it is brought in, once, and taken out. The tree's own build is as before.
fn patch_file() -> Result<()> {
    let before = tool::read_file(kernel(Image::Lab)?)?;
    // Its own, where no kernel of other trials is found.
    let folder = std::env::temp_dir().join(format!("klplab-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let result = patch_file_in(&folder);
    std::fs::remove_dir_all(&folder)?;
    result?;
    let built = xtask::kernel::build(Image::Lab, &Conventions::all())?;
    ensure!(
        tool::read_file(&built)? == before,
        "the tree's kernel was built from the copy"
    );
    Ok(())
}

fn patch_file_in(folder: &Path) -> Result<()> {
    const DIFF: &str = "tests/live/off-by-one.patch";
    let tmp = format!("export TMPDIR={};", folder.display());
    let tree = Tree::original();
    let make = |words: &str| -> Result<String> {
        let (well, printed) = shell::run(&tree, &format!("{tmp} make live {words}"))?;
        ensure!(well, "{printed}");
        Ok(printed)
    };
    let printed = make(&format!("DIFF={DIFF} IMAGE=klplab-lab"))?;
    let id = printed.split("`make shell BUILD=").nth(1);
    let id = id.and_then(|rest| rest.split('`').next());
    let id = id.with_context(|| printed.clone())?;
    let mut running = Commands::open(&tree, &format!("{tmp} make shell BUILD={id}"))?;
    let mut ask = |line: &str| -> Result<String> {
        // A prompt is printed with the line that was read: with the empty one, all is there.
        running.type_in(&format!("{line}\n\n"));
        running.listen(Some(&format!("{PROMPT}\n")))
    };
    ask("# begun")?;
    let before = ask("call find 25 5")?;
    let printed = make(&format!("DIFF={DIFF}"))?;
    ensure!(printed.contains("patch `live` is enabled"), "{printed}");
    let after = ask("call find 25 5")?;
    let printed = make("UNDO=1")?;
    ensure!(printed.contains("patch `live` is disabled"), "{printed}");
    let undone = ask("call find 25 5")?;
    ensure!(
        before != after && before == undone,
        "{before}\n{after}\n{undone}"
    );
    Ok(())
}

/// A kernel with a shell at a terminal, and its channel.
struct Running {
    guest: Guest,
    path: PathBuf,
}

impl Running {
    fn start(label: &str, machine: &str) -> Result<Running> {
        let path = fresh()?;
        let boot = Boot::new(label, machine, "mode=shell")?.channel(&path);
        let mut guest = boot.start()?;
        guest.expect(PROMPT)?;
        Ok(Running { guest, path })
    }

    fn connect(&self) -> Result<Channel> {
        Ok(Channel::connect(&self.path, limits())?)
    }

    /// A client that keeps to no rule.
    fn raw(&self) -> Result<UnixStream> {
        let stream = UnixStream::connect(&self.path)?;
        stream.set_read_timeout(Some(limits().silence))?;
        Ok(stream)
    }

    /// Types a command, and returns what it says.
    fn ask(&mut self, command: &str) -> Result<String> {
        self.guest.send_line(command)?;
        // The prompt may have been shown again before, behind a complaint of another thread's.
        self.guest.expect(command)?;
        Ok(self.guest.expect(PROMPT)?.replace('\r', ""))
    }

    /// What the function that patches replace returns.
    fn balance(&mut self) -> Result<u64> {
        let said = self.ask("call balance 3")?;
        let result = said.split("balance(3) = ").nth(1);
        let result = result.and_then(|rest| rest.split_whitespace().next());
        Ok(result.with_context(|| said.clone())?.parse()?)
    }

    /// What memory is in use when the last request is done with: its answer is given back
    /// when it has been sent.
    fn memory(&mut self) -> Result<String> {
        let sleeps = |threads: &str| {
            let row = threads.lines().find(|row| row.contains(" live "));
            row.is_some_and(|row| row.contains("asleep"))
        };
        until(|| self.ask("threads"), sleeps)?;
        self.ask("mem")
    }

    /// Console and channel go on.
    fn is_well(&mut self) -> Result<()> {
        ensure!(self.balance()? == 10303, "another balance");
        self.connect()?.hello()?;
        Ok(())
    }

    fn end(mut self) -> Result<()> {
        self.guest.send_line("poweroff")?;
        let finished = self.guest.finish();
        let outcome = &finished.outcome;
        ensure!(
            *outcome == Outcome::Guest(0),
            "{outcome}\n{}",
            finished.transcript
        );
        ensure!(!self.path.exists(), "{} is left", self.path.display());
        let gone = Channel::connect(&self.path, limits());
        ensure!(
            matches!(gone, Err(ChannelError::NobodyListens { .. })),
            "{gone:?}"
        );
        Ok(())
    }
}

/// More than a user's: the host may be very busy.
fn limits() -> Limits {
    Limits {
        silence: Duration::from_secs(120),
        ..Limits::default()
    }
}

/// A module that came with the kernel.
fn module(name: &str) -> Result<Vec<u8>> {
    let folder = modules::folder(kernel(Image::Klplab)?);
    let path = folder.join("epilogue").join(name).with_extension("ko");
    std::fs::read(&path).with_context(|| path.display().to_string())
}

/// The build id of the kernel that is booted.
fn build_id() -> Result<[u8; 20]> {
    modules::build_id(&tool::read_file(kernel(Image::Klplab)?)?)
}

/// Follows a transition until it has ended. Returns how often it was looked at.
fn until_ended(channel: &mut Channel) -> Result<u32> {
    let begin = Instant::now();
    let mut looks = 1;
    while let Some(transition) = channel.status()?.transition {
        ensure!(
            begin.elapsed() < limits().silence,
            "it does not end: {transition:?}"
        );
        looks += 1;
    }
    Ok(looks)
}

/// What the refusal of a request says.
fn refusal<T: std::fmt::Debug>(answer: Result<T, ChannelError>) -> Result<String> {
    match answer {
        Err(ChannelError::Refused(why)) => Ok(why),
        other => bail!("not refused: {other:?}"),
    }
}

fn a_patch_comes_and_goes(label: &str, machine: &str) -> Result<()> {
    let mut running = Running::start(label, machine)?;
    running.ask("spawn caller 3")?;
    running.ask("spawn busy")?;
    let path = running.path.clone();
    ensure!(
        kernels()?.iter().any(|one| one.path == path),
        "it is not found"
    );
    let mut channel = running.connect()?;

    let hello = channel.hello()?;
    let id = build_id()?.map(|byte| format!("{byte:02x}")).concat();
    ensure!(hello.build_id == id, "{hello:?}, expected {id}");
    let cpus = xtask::machine::Machine::find(machine)?.cpu_count();
    let told = (
        hello.image.as_str(),
        hello.variant.as_str(),
        Some(hello.cpus),
    );
    ensure!(told == ("klplab", "epilogue", cpus), "{hello:?}");
    ensure!(
        hello.processor.starts_with("POWER") && hello.patches.is_empty(),
        "{hello:?}"
    );

    ensure!(
        channel.load(&module("two_percent")?)? == "two_percent",
        "another name"
    );
    let loaded = channel.status()?;
    ensure!(
        loaded.patches.len() == 1 && loaded.patches[0].state == State::Loaded,
        "{loaded:?}"
    );
    ensure!(running.balance()? == 10303, "loaded is not enabled");
    channel.enable("two_percent")?;
    let looks = until_ended(&mut channel)?;
    println!("{label}: enabled after {looks} looks");
    ensure!(running.balance()? == 10612, "it is not enabled");
    ensure!(
        channel.hello()?.patches == ["two_percent"],
        "it is not told"
    );
    let why = refusal(channel.unload("two_percent"))?;
    ensure!(
        why.contains("is enabled; it has to be disabled first"),
        "{why}"
    );
    let why = refusal(channel.enable("two_percent"))?;
    ensure!(why == "patch `two_percent` is enabled already", "{why}");

    channel.disable("two_percent")?;
    until_ended(&mut channel)?;
    channel.unload("two_percent")?;
    ensure!(channel.status()?.patches.is_empty(), "it is still there");
    ensure!(running.balance()? == 10303, "it is still enabled");
    running.ask("kill all")?;
    drop(channel);
    running.end()
}

/// Which thread blocks a transition, and in which function; and the way back.
fn blocked() -> Result<()> {
    let mut running = Running::start("live::channel-blocked", "default")?;
    running.ask("spawn sleeper")?;
    let mut channel = running.connect()?;
    channel.load(&module("two_percent")?)?;
    channel.enable("two_percent")?;
    let begin = Instant::now();
    let transition = loop {
        let now = channel.status()?.transition.context("it has ended")?;
        if now.switched + 1 == now.threads || begin.elapsed() > limits().silence {
            break now;
        }
    };
    let first = transition.rows.first().context("no rows")?;
    ensure!(
        transition.enables
            && !transition.reversed
            && transition.rows.len() == transition.threads as usize
            && (first.name.as_str(), first.switched) == ("sleeper", false)
            && first.why == "demo::bank::balance is on its stack"
            && first.function == "demo::bank::balance"
            && transition.rows.iter().skip(1).all(|row| row.switched),
        "{transition:?}"
    );
    let why = refusal(channel.unload("two_percent"))?;
    ensure!(why.contains("is enabled"), "{why}");
    channel.reverse()?;
    until_ended(&mut channel)?;
    ensure!(
        channel.status()?.patches[0].state == State::Loaded,
        "it stays"
    );
    let why = refusal(channel.reverse())?;
    ensure!(why == "no transition is running", "{why}");
    // As from the console, and seen there.
    channel.enable("two_percent")?;
    let shown = running.ask("transition")?;
    ensure!(
        shown.contains("patch `two_percent` is being enabled"),
        "{shown}"
    );
    channel.disable("two_percent")?;
    until_ended(&mut channel)?;
    channel.unload("two_percent")?;
    drop(channel);
    running.ask("kill all")?;
    running.is_well()?;
    running.end()
}

/// What is refused leaves nothing behind: each byte of the heap and of code memory is there again.
fn refused() -> Result<()> {
    let mut running = Running::start("live::channel-refused", "default")?;
    let mut channel = running.connect()?;
    let two_percent = module("two_percent")?;
    let cut = &two_percent[..two_percent.len() / 2];
    let mut other = two_percent.clone();
    let id = build_id()?;
    let at = other.windows(id.len()).position(|bytes| bytes == id);
    other[at.context("the module has no build id")?] ^= 1;
    // What the first request of each kind keeps is kept for good.
    let all = |channel: &mut Channel| -> Result<()> {
        for (file, words) in [
            (&b"no module"[..], "not an elf file"),
            (&[], "truncated: "),
            (cut, ""),
            (&other, "is for the kernel with build id"),
        ] {
            let why = refusal(channel.load(file))?;
            ensure!(why.contains(words) && !why.is_empty(), "{why}");
        }
        for (answer, words) in [
            (channel.enable("nothing"), "no module `nothing` is loaded"),
            (channel.enable(""), "expected a name of"),
            (channel.enable(&"x".repeat(201)), "expected a name of"),
            (channel.disable("nothing"), "patch `nothing` is not enabled"),
            (channel.unload("nothing"), "no module `nothing` is loaded"),
            (channel.reverse(), "no transition is running"),
        ] {
            let why = refusal(answer)?;
            ensure!(why.contains(words), "{why}");
        }
        let huge = vec![0; MOST_BYTES + 1];
        ensure!(
            refusal(channel.load(&huge))?.contains("are the most"),
            "huge"
        );
        Ok(())
    };
    all(&mut channel)?;
    let before = running.memory()?;
    all(&mut channel)?;
    let large = refusal(channel.load(&vec![0; 100 * 1024]))?;
    ensure!(large.contains("not an elf file"), "{large}");
    let after = running.memory()?;
    ensure!(before == after, "before:\n{before}\nafter:\n{after}");
    // Twice is once.
    channel.load(&two_percent)?;
    let loaded = running.memory()?;
    let why = refusal(channel.load(&two_percent))?;
    ensure!(why == "a module `two_percent` is loaded already", "{why}");
    let twice = running.memory()?;
    ensure!(loaded == twice, "loaded:\n{loaded}\ntwice:\n{twice}");
    drop(channel);
    running.is_well()?;
    running.end()
}

/// How fast a module comes, beside threads that work.
fn speed() -> Result<()> {
    const BYTES: usize = 64 * 1024;
    for machine in ["default", "smp-power9"] {
        let label = format!("live::channel-speed-{machine}");
        let mut running = Running::start(&label, machine)?;
        let mut channel = running.connect()?;
        for workload in ["none", "caller 4", "busy 4"] {
            if workload != "none" {
                running.ask(&format!("spawn {workload}"))?;
            }
            let begin = Instant::now();
            refusal(channel.load(&[0; BYTES]))?;
            let took = begin.elapsed();
            let rate = BYTES as f64 / 1024.0 / took.as_secs_f64();
            println!("live::channel-speed: {machine}, workload {workload}: {rate:.0} KiB/s");
            let begin = Instant::now();
            channel.hello()?;
            println!("live::channel-speed: a hello takes {:.1?}", begin.elapsed());
        }
        running.ask("kill all")?;
        drop(channel);
        running.end()?;
    }
    Ok(())
}

/// Without the terminal there is no thread, and with it console and report are as before.
fn absent() -> Result<()> {
    let threads = |label: &str, path: Option<&Path>| -> Result<String> {
        let append = "mode=shell input=script -- threads; poweroff";
        let mut boot = Boot::new(label, "default", append)?;
        if let Some(path) = path {
            boot = boot.channel(path);
        }
        let run = boot.run()?;
        run.expect(&Outcome::Guest(0))?;
        Ok(run.finished.transcript)
    };
    let without = threads("live::channel-absent", None)?;
    let with = threads("live::channel-present", Some(&fresh()?))?;
    let has = |text: &str| {
        text.lines()
            .any(|row| row.split_whitespace().nth(1) == Some("live"))
    };
    ensure!(
        !has(&without) && has(&with),
        "without:\n{without}\nwith:\n{with}"
    );
    Ok(())
}
