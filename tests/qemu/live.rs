//! The channel: what comes from the host into the running kernel, and what no client of ours
//! would send.

use crate::harness::{Boot, kernel, trial};
use anyhow::{Context, Result, bail, ensure};
use channel::{Frame, Kind, MOST_BYTES, encode};
use libtest_mimic::Trial;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use xtask::guest::Guest;
use xtask::image::Image;
use xtask::live::channel::{Channel, ChannelError, Limits, State, fresh, kernels};
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
        trial("live::channel-blocked", blocked),
        trial("live::channel-refused", refused),
        trial("live::channel-damage", damage),
        trial("live::channel-clients", clients),
        trial("live::channel-speed", speed),
        trial("live::channel-stopped", stopped),
        trial("live::channel-absent", absent),
    ]
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
    let before = running.ask("mem")?;
    all(&mut channel)?;
    let large = refusal(channel.load(&vec![0; 100 * 1024]))?;
    ensure!(large.contains("not an elf file"), "{large}");
    let after = running.ask("mem")?;
    ensure!(before == after, "before:\n{before}\nafter:\n{after}");
    // Twice is once.
    channel.load(&two_percent)?;
    let loaded = running.ask("mem")?;
    let why = refusal(channel.load(&two_percent))?;
    ensure!(why == "a module `two_percent` is loaded already", "{why}");
    let twice = running.ask("mem")?;
    ensure!(loaded == twice, "loaded:\n{loaded}\ntwice:\n{twice}");
    drop(channel);
    running.is_well()?;
    running.end()
}

/// A frame in bytes.
fn frame(kind: Kind, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let (header, trailer) = encode(&Frame {
        kind,
        sequence,
        payload,
    });
    [&header[..], payload, &trailer].concat()
}

/// The next answer: its sequence number and what it says.
fn next(stream: &mut UnixStream) -> Result<(u32, String)> {
    let mut decoder = channel::Decoder::new(channel::MOST_ANSWER);
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        match decoder.decode(&mut &byte[..]) {
            None => {}
            Some(channel::Event::Frame(frame)) => {
                let text = String::from_utf8_lossy(frame.payload).into_owned();
                return Ok((frame.sequence, text));
            }
            Some(damaged) => bail!("{damaged:?}"),
        }
    }
}

/// Bytes that are no frame, frames that are not whole, and more than there may be.
fn damage() -> Result<()> {
    let mut running = Running::start("live::channel-damage", "smp-power9")?;
    running.ask("spawn caller 2")?;
    let mut raw = running.raw()?;
    let hello = frame(Kind::Hello, 1, &[]);
    let changed = |at: usize| {
        let mut bytes = frame(Kind::Load, 77, b"a module");
        bytes[at] ^= 0x40;
        bytes
    };
    for (bytes, sequence, words) in [
        (changed(9), 0, "the frame's header is damaged"),
        (changed(25), 77, "its checksum does not hold"),
        (
            // Its sender has given up, as soon as it was told.
            frame(Kind::Load, 5, &vec![7; MOST_BYTES + 1])[..2000].to_vec(),
            5,
            "1048576 are the most",
        ),
        (frame(Kind::Done, 6, b""), 6, "an answer is no request"),
    ] {
        raw.write_all(&bytes)?;
        let (found, text) = next(&mut raw)?;
        ensure!(found == sequence && text.contains(words), "{found}: {text}");
        raw.write_all(&hello)?;
        let (found, text) = next(&mut raw)?;
        ensure!(found == 1 && text.contains("build_id"), "{found}: {text}");
    }
    // Thousands of bytes that are nothing, some of them the beginning of something.
    let mut seed = 0x2016_1116_u32;
    let mut garbage = || {
        (seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        (seed >> 24) as u8
    };
    let mut bytes: Vec<u8> = (0..20_000).map(|_| garbage()).collect();
    bytes.extend(b"klpFklpklpF");
    bytes.extend([0; 40]);
    raw.write_all(&bytes)?;
    for _ in 0..2 {
        let (found, text) = next(&mut raw)?;
        ensure!(
            found == 0 && text.contains("header is damaged"),
            "{found}: {text}"
        );
    }
    drop(raw);
    running.is_well()?;
    running.ask("kill all")?;
    running.end()
}

/// Clients that come one behind the other, at the same time, and go in the middle of a frame.
fn clients() -> Result<()> {
    let mut running = Running::start("live::channel-clients", "default")?;
    let hasty = Limits {
        busy: Duration::from_millis(100),
        silence: Duration::from_secs(1),
    };
    let first = running.connect()?;
    let second = Channel::connect(&running.path, hasty);
    ensure!(
        matches!(second, Err(ChannelError::Busy { .. })),
        "{second:?}"
    );
    let found = kernels()?.iter().any(|one| one.path == running.path);
    ensure!(found, "one with a client is not found");
    drop(first);
    running.is_well()?;

    // QEMU lets one that knows nothing of the lock wait, and others behind it.
    let raw = running.raw()?;
    for _ in 0..5 {
        let answer = Channel::connect(&running.path, hasty).and_then(|mut one| one.hello());
        ensure!(
            matches!(answer, Err(ChannelError::Silent { .. })),
            "{answer:?}"
        );
    }
    drop(raw);
    running.is_well()?;

    // Gone at each place of a frame, and before the answer.
    let load = frame(Kind::Load, 9, &module("two_percent")?);
    for end in [1, 4, 19, 20, 21, 1000, load.len() - 1] {
        let mut raw = running.raw()?;
        raw.write_all(&load[..end])?;
        // QEMU throws away what it has not read when a client goes: it has read all of some.
        let taken = matches!(end, 21 | 1000);
        std::thread::sleep(Duration::from_millis(if taken { 500 } else { 0 }));
        drop(raw);
        let begin = Instant::now();
        running.is_well().with_context(|| format!("cut at {end}"))?;
        let took = begin.elapsed();
        println!("live::channel-clients: cut at {end}, the next one is answered after {took:.1?}");
    }
    for _ in 0..40 {
        running.raw()?.write_all(&frame(Kind::Status, 3, &[]))?;
    }
    running.is_well()?;
    let loaded = running.connect()?.status()?.patches;
    ensure!(loaded.is_empty(), "{loaded:?}");

    // One that is stopped before it reads the longest answer that there may be stops no guest.
    let mut raw = running.raw()?;
    let hello = frame(Kind::Hello, 4, &[]);
    raw.write_all(&hello)?;
    let pieces = |bytes: usize| 2 + bytes.div_ceil(16) + 1;
    let answers = pieces(channel::MOST_ANSWER).div_ceil(pieces(next(&mut raw)?.1.len()));
    for _ in 0..answers {
        raw.write_all(&hello)?;
    }
    std::thread::sleep(Duration::from_secs(1));
    ensure!(running.balance()? == 10303, "another balance");
    drop(raw);

    // One that asks on and reads no answer. The guest may have to wait for it, and goes on when it has gone.
    let mut raw = running.raw()?;
    raw.set_write_timeout(Some(Duration::from_secs(2)))?;
    for _ in 0..200 {
        if raw.write_all(&hello).is_err() {
            break;
        }
    }
    std::thread::sleep(Duration::from_secs(1));
    drop(raw);
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

/// A kernel that has stopped, one that has crashed, and what is left of one that was killed.
fn stopped() -> Result<()> {
    let quick = Limits {
        silence: Duration::from_secs(2),
        ..Limits::default()
    };
    // Halted at its first instruction, as a debugger would have it.
    let path = fresh()?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let boot = Boot::new("live::channel-stopped", "default", "mode=shell")?.channel(&path);
    let guest = boot.start_halted(port)?;
    let begin = Instant::now();
    let mut channel = loop {
        match Channel::connect(&path, quick) {
            Err(ChannelError::NobodyListens { .. }) if begin.elapsed() < limits().silence => {
                std::thread::sleep(Duration::from_millis(50));
            }
            other => break other?,
        }
    };
    let answer = channel.hello();
    ensure!(
        matches!(answer, Err(ChannelError::Silent { .. })),
        "{answer:?}"
    );
    let sentence = answer.unwrap_err().to_string();
    ensure!(sentence.contains("does not answer"), "{sentence}");
    drop(guest);
    let answer = channel.hello();
    ensure!(matches!(answer, Err(ChannelError::Gone)), "{answer:?}");
    ensure!(!path.exists(), "{} is left", path.display());

    // A crash ends QEMU.
    let path = fresh()?;
    let run = Boot::new("live::channel-crashed", "default", "crash=panic")?
        .channel(&path)
        .run()?;
    run.expect(&Outcome::Guest(3))?;
    let answer = Channel::connect(&path, quick);
    ensure!(
        matches!(answer, Err(ChannelError::NobodyListens { .. })),
        "{answer:?}"
    );

    // Nothing listens at what a killed QEMU leaves.
    drop(std::os::unix::net::UnixListener::bind(&path)?);
    ensure!(path.exists(), "nothing is left");
    ensure!(
        !kernels()?.iter().any(|one| one.path == path),
        "it is found"
    );
    ensure!(!path.exists(), "{} is still there", path.display());
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
