//! What no client of ours would send, and kernels that don't answer.

use super::{Running, limits, module};
use crate::harness::Boot;
use anyhow::{Context, Result, bail, ensure};
use channel::{Frame, Kind, MOST_BYTES, encode};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use xtask::live::channel::{Channel, ChannelError, Limits, fresh, kernels};
use xtask::outcome::Outcome;

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
pub fn damage() -> Result<()> {
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
pub fn clients() -> Result<()> {
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

    // One that knows nothing of the lock is taken, and others wait behind it.
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

    // One that asks on and reads no answer: the guest goes on, and it is cut off.
    let mut raw = running.raw()?;
    raw.set_write_timeout(Some(limits().silence))?;
    let begin = Instant::now();
    while raw.write_all(&hello).is_ok() {
        ensure!(begin.elapsed() < limits().silence, "it is not cut off");
    }
    ensure!(running.balance()? == 10303, "another balance");
    running.is_well()?;
    drop(raw);
    running.end()
}

/// A kernel that has stopped, one that has crashed, and what is left of one that was killed.
pub fn stopped() -> Result<()> {
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
