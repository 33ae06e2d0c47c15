//! The kernel's functions replaced by copies of themselves, all at once that can be: everything is
//! as before, whatever hands calls over, whatever the copies have in r2, traced and untraced.

use crate::harness::{Boot, PATIENCE, kernel, trial, until};
use anyhow::{Context, Result, anyhow, ensure};
use kdiff::{Form, Returns};
use libtest_mimic::Trial;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tar::{Builder, Header};
use xtask::guest::Guest;
use xtask::image::Image;
use xtask::live::base::{self, Base};
use xtask::live::copies::{Wanted, copies, takes_stack_arguments};
use xtask::machine::Machine;
use xtask::outcome::Outcome;
use xtask::{modules, tool};

/// How many functions each patch replaces. With more, the memory for trampolines has no room left for a
/// tracer's.
const FUNCTIONS: usize = 1_050;

/// Functions that are on the stack of a thread at its safe points, or while it waits for a CPU that it may
/// not get: it could never switch.
const ALWAYS_ON_A_STACK: &[(&str, &str)] = &[
    ("thread::run::*", "is what each thread runs in"),
    (
        "thread::scheduler::switch",
        "is on the stack of each thread that is off its CPU, an idle thread's too",
    ),
    (
        "secondary_main",
        "is on the stack of the idle thread of each CPU but the first",
    ),
    (
        "thread::patch_state::safe_point",
        "is where a thread looks whether it can switch",
    ),
    (
        "*livepatch::switching::*",
        "is on the stack that it looks at",
    ),
    ("shell::run", "has the main loop of the console's thread"),
    (
        "*shell::workload::ROLES::*",
        "has the main loop of a thread that works",
    ),
];

pub fn trials() -> Vec<Trial> {
    let one = |variant: &'static str, machine: &'static str| {
        trial(&format!("copies::{variant}"), move || {
            replace_all(variant, machine)
        })
    };
    vec![
        one("epilogue", "smp-power9"),
        one("mini-frame", "smp-power9"),
        one("livepatch-stack", "smp-power9"),
        one("shared-toc", "smp-power9"),
        one("pcrel", "smp-power10"),
    ]
}

/// A patch of copies.
struct Patch {
    name: &'static str,
    file: Vec<u8>,
}

/// The patches of copies that a variant takes: of both forms, if it takes both.
fn patches(variant: &str) -> Result<Vec<Patch>> {
    let mut all = vec![patch("kernels_toc", Form::KernelsToc, false)?];
    match variant {
        "epilogue" => all.push(patch("own_toc", Form::OwnToc(Returns::Restore), false)?),
        "mini-frame" => all.push(patch("own_toc", Form::OwnToc(Returns::Plain), true)?),
        "livepatch-stack" => all.push(patch("own_toc", Form::OwnToc(Returns::Plain), false)?),
        _ => {}
    }
    Ok(all)
}

/// Makes a patch of copies, or takes the one that another trial has made.
fn patch(name: &'static str, form: Form, no_stack_arguments: bool) -> Result<Patch> {
    static MADE: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let key = format!("{form:?} {no_stack_arguments}");
    if let Some(file) = made.get(&key) {
        return Ok(Patch {
            name,
            file: file.clone(),
        });
    }
    let start = Instant::now();
    let id = modules::build_id(&tool::read_file(kernel(Image::Klplab)?)?)?;
    let reason = |path: &str, code: &[u8]| {
        let mut list = ALWAYS_ON_A_STACK.iter();
        let named = list.find(|(pattern, _)| glob::matches(pattern, path));
        named.map(|(_, reason)| *reason).or_else(|| {
            let moved = no_stack_arguments && takes_stack_arguments(code);
            moved.then_some("takes arguments on the stack, which a frame in between moves")
        })
    };
    let wanted = Wanted {
        name,
        form,
        most: FUNCTIONS,
        reason: &reason,
    };
    let found = copies(&Base::find(&base::in_hex(&id))?, &wanted)?;
    let count = found.module.replaced.len();
    println!(
        "copies: {key}: {} functions can be copied, {count} are, in {} bytes; made in {:.1} s",
        found.tried,
        found.module.file.len(),
        start.elapsed().as_secs_f64()
    );
    ensure!(
        count == FUNCTIONS,
        "{key}: {count} functions instead of {FUNCTIONS}: {:#?}",
        found.left_out
    );
    made.insert(key, found.module.file.clone());
    Ok(Patch {
        name,
        file: found.module.file,
    })
}

/// A kernel with a shell.
struct Running {
    guest: Guest,
}

const PROMPT: &str = "klplab> ";

impl Running {
    /// Types a command, and returns what it says.
    fn ask(&mut self, command: &str) -> Result<String> {
        self.guest.send_line(command)?;
        self.guest.expect(command)?;
        let said = self.guest.expect(PROMPT)?.replace('\r', "");
        Ok(said.trim_end_matches(PROMPT).trim().to_owned())
    }

    /// Asks for something that must go well.
    fn tell(&mut self, command: &str, expected: &str) -> Result<()> {
        let said = self.ask(command)?;
        ensure!(said.contains(expected), "`{command}`: {said}");
        Ok(())
    }

    /// Follows a transition to its end. A command waits in old code, so it must not wait itself.
    fn until_ended(&mut self) -> Result<()> {
        let ended = |said: &str| said.contains("no transition is running");
        until(|| self.ask("transition"), ended).map(drop)
    }

    /// What the kernel says when it is asked what does not depend on patches.
    fn answers(&mut self) -> Result<Vec<String>> {
        let asked = ANSWERS.iter().map(|command| self.ask(command));
        asked.collect()
    }

    fn as_before(&mut self, before: &[String], when: &str) -> Result<()> {
        let now = self.answers()?;
        for ((command, before), now) in ANSWERS.iter().zip(before).zip(now) {
            ensure!(
                *before == now,
                "`{command}`, {when}:\n{now}\nbefore:\n{before}"
            );
        }
        Ok(())
    }
}

/// What has one answer, whatever patches there are.
const ANSWERS: &[&str] = &[
    "call balance 3",
    "call",
    "help",
    "exports",
    "trace nonsense",
    "call balance 99",
];

fn replace_all(variant: &str, machine: &str) -> Result<()> {
    let patches = patches(variant)?;
    let (initrd, label) = (initrd(variant, &patches)?, format!("copies::{variant}"));
    let boot = Boot::new(&label, machine, "mode=shell")?.initrd(&initrd);
    let mut running = Running {
        guest: boot.start()?,
    };
    running.guest.expect(PROMPT)?;
    let threads = 2 * Machine::find(machine)?.cpu_count().context("no CPUs")?;
    let before = running.answers()?;
    // What the first time keeps is kept for good: tables that have grown.
    let mut memory = None;
    let mut names: Vec<&str> = patches.iter().map(|patch| patch.name).collect();
    if let [only] = names[..] {
        names.push(only);
    }
    for name in names {
        let begin = Instant::now();
        running.ask(&format!("spawn caller {threads}; spawn idler"))?;
        running.tell(&format!("variant {variant}"), "calls are handed over by")?;
        running.round(name, &before)?;
        running.ask("kill all")?;
        // It compares the kernel's text with that at boot.
        running.tell("reset", "all is as it was when the shell began")?;
        let now = running.ask("mem")?;
        let then = memory.get_or_insert_with(|| now.clone());
        ensure!(
            *then == now,
            "after the first patch:\n{then}\nafter `{name}`:\n{now}"
        );
        println!(
            "{label}: {name} has come and gone in {:.1} s",
            begin.elapsed().as_secs_f64()
        );
    }
    running.guest.send_line("poweroff")?;
    let finished = running.guest.finish();
    ensure!(
        finished.outcome == Outcome::Guest(0),
        "{}\n{}",
        finished.outcome,
        finished.transcript
    );
    Ok(())
}

impl Running {
    /// Enables a patch and takes it out again, traced and untraced. Everything answers as before.
    fn round(&mut self, name: &str, before: &[String]) -> Result<()> {
        self.tell(&format!("enable {name} nowait"), name)?;
        self.until_ended()?;
        self.as_before(before, &format!("{name} is enabled"))?;
        for tracer in ["function", "graph"] {
            self.tell(&format!("trace {tracer}"), "tracing: ")?;
            self.tell("call balance 3", "balance(3) = 10303")?;
            self.tell("trace off", "nothing is traced")?;
        }
        self.as_before(before, &format!("{name} was traced"))?;
        self.tell(&format!("disable {name} nowait"), name)?;
        self.until_ended()?;
        self.unload(name)?;
        self.as_before(before, &format!("{name} is gone"))
    }

    /// Unloads a module: whatever has ended the transition may have it a moment longer.
    fn unload(&mut self, name: &str) -> Result<()> {
        let begin = Instant::now();
        loop {
            let said = self.ask(&format!("unload {name}"))?;
            if said.contains("is gone") {
                return Ok(());
            }
            ensure!(
                said.contains("is in use") && begin.elapsed() < PATIENCE,
                "{said}"
            );
        }
    }
}

/// An initrd with these patches, where a variant looks for them.
fn initrd(variant: &str, patches: &[Patch]) -> Result<PathBuf> {
    let kernel = kernel(Image::Klplab)?;
    let variants = xtask::variants::of(kernel)?;
    let found = variants.iter().find(|(name, _)| name == variant);
    let convention = found
        .with_context(|| format!("no variant {variant}"))?
        .1
        .name();
    let folder = match convention {
        "epilogue" => "modules".to_owned(),
        other => format!("modules/{other}"),
    };
    let mut builder = Builder::new(Vec::new());
    for Patch { name, file } in patches {
        let mut header = Header::new_ustar();
        header.set_path(format!("{folder}/{name}.ko"))?;
        header.set_size(file.len() as u64);
        header.set_cksum();
        builder.append(&header, &file[..])?;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("copies-{variant}.tar"));
    std::fs::write(&path, builder.into_inner()?)
        .map_err(|error| anyhow!("{}: {error}", path.display()))?;
    Ok(path)
}
