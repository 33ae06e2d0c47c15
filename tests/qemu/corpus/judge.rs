//! From edits to answers: a build, a patch, a kernel that runs and gets it, and the kernel
//! that was built.

use super::edit::{Edit, Found};
use crate::harness::{Boot, kernel};
use anyhow::{Context, Result, ensure};
use kdiff::Form;
use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use xtask::guest::Guest;
use xtask::image::Image;
use xtask::kernel::Built;
use xtask::live::base::{self, Base};
use xtask::live::channel::{self, Channel, Limits};
use xtask::live::patch::{self, Made, Wanted};
use xtask::live::tree;
use xtask::{modules, symbols, tool};

/// The image: it has the shell, and functions to call in it.
const IMAGE: Image = Image::Lab;

/// How long a transition may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A copy of the tree with edits.
pub struct Copy {
    copy: tree::Copy,
    /// The most functions that a patch of its edits may replace.
    most: Cell<usize>,
}

impl Copy {
    /// Waits until the one of a name is free, and makes it as the tree is. Where the same edits are made
    /// each time, the copy is their own: nothing is built the next time.
    pub fn fresh(name: &str) -> Result<Copy> {
        Ok(Copy {
            copy: tree::Copy::fresh(name)?,
            most: Cell::new(kdiff::MOST_FUNCTIONS),
        })
    }

    /// Makes an edit, on top of those that were made before.
    pub fn apply(&self, edit: &Edit) -> Result<()> {
        self.most.set(edit.most.unwrap_or(self.most.get()));
        self.copy.apply(&edit.path)
    }

    /// Builds it.
    pub fn build(&self) -> Result<Built> {
        self.copy.link(IMAGE)
    }

    /// What was built, ready to boot.
    fn bootable(&self, built: &Built) -> Result<PathBuf> {
        let elf = tool::read_file(&built.executable)?;
        symbols::each_function_is_its_own(&elf)?;
        let path = tool::target_dir().join("tests").join("edited.elf");
        tool::replace_file(&path, &symbols::embed(elf)?)?;
        Ok(path)
    }
}

/// What differs between the tree's kernel and what was built, and the module. What can't be
/// compared is refused.
pub fn compare(copy: &Copy, built: &Built, name: &str) -> Result<Made> {
    let id = modules::build_id(&tool::read_file(kernel(IMAGE)?)?)?;
    let base = Base::find(&base::in_hex(&id))?;
    let wanted = Wanted {
        name,
        form: Form::KernelsToc,
        most: copy.most.get(),
    };
    let read = patch::read(&base, built, &copy.copy.sources());
    read.and_then(|files| patch::make(&files, &wanted))
        .or_else(|error| {
            let why = error.downcast::<kdiff::CompareError>()?;
            Ok(Made {
                rows: Vec::new(),
                refused: vec![why.to_string()],
                notes: Vec::new(),
                module: None,
                times: Vec::new(),
                compared: 0,
            })
        })
}

/// A kernel whose shell runs.
pub struct Running {
    guest: Guest,
    socket: Option<PathBuf>,
    asked: usize,
}

impl Running {
    /// The tree's, with a channel for patches.
    pub fn old(label: &str) -> Result<Running> {
        let socket = channel::fresh()?;
        let boot = boot(label)?.image(IMAGE)?.channel(&socket);
        Ok(Running {
            guest: boot.start()?,
            socket: Some(socket),
            asked: 0,
        })
    }

    /// What was built of an edit.
    pub fn new(label: &str, copy: &Copy, built: &Built) -> Result<Running> {
        let boot = boot(&format!("{label}::new"))?.kernel(&copy.bootable(built)?);
        Ok(Running {
            guest: boot.start()?,
            socket: None,
            asked: 0,
        })
    }

    /// What lines for its shell print.
    pub fn ask<S: AsRef<str>>(&mut self, lines: &[S]) -> Result<String> {
        self.asked += 1;
        // A comment: it does nothing, and is shown.
        let end = format!("# {} was asked.", self.asked);
        for line in lines {
            self.guest.send_line(line.as_ref())?;
        }
        self.guest.send_line(&end)?;
        let seen = self.guest.expect(&end)?;
        // Without the line of the comment itself.
        let seen = seen.replace('\r', "");
        let said = seen.rsplit_once('\n').map_or("", |(said, _)| said);
        Ok(plain(said.trim_start_matches('\n')))
    }

    /// What the lines of each edit print.
    pub fn answers(&mut self, edits: &[&Edit]) -> Result<Vec<String>> {
        let one = |edit: &&Edit| self.ask(&edit.run).with_context(|| edit.name.clone());
        edits.iter().map(one).collect()
    }

    /// Waits for the end of the transition that runs.
    pub fn settle(&self) -> Result<()> {
        settled(&mut self.channel()?)
    }

    fn channel(&self) -> Result<Channel> {
        let socket = self.socket.as_ref().context("this kernel has no channel")?;
        Ok(Channel::connect(socket, Limits::default())?)
    }

    /// Loads a module, enables it, and unloads those that it replaces. Returns how long that
    /// took: to send it, and to the transition's end.
    pub fn patch(&mut self, name: &str, file: &[u8]) -> Result<[Duration; 2]> {
        let mut channel = self.channel()?;
        let start = Instant::now();
        let loaded = channel.load(file)?;
        ensure!(loaded == name, "the module is called `{loaded}`");
        let sent = start.elapsed();
        channel.enable(name)?;
        settled(&mut channel)?;
        let enabled = start.elapsed() - sent;
        for one in channel
            .status()?
            .patches
            .iter()
            .filter(|one| one.name != name)
        {
            channel.unload(&one.name)?;
        }
        Ok([sent, enabled])
    }

    /// Takes a module out.
    pub fn undo(&mut self, name: &str) -> Result<()> {
        let mut channel = self.channel()?;
        channel.disable(name)?;
        settled(&mut channel)?;
        channel.unload(name)?;
        let left = channel.status()?.patches;
        ensure!(left.is_empty(), "it has still {left:?}");
        Ok(())
    }

    /// Ends it, and looks whether all was well.
    pub fn end(mut self) -> Result<()> {
        self.guest.send_line("poweroff")?;
        let finished = self.guest.finish();
        let said = &finished.transcript;
        ensure!(
            // A workload may have a command that fails.
            ["EXIT: STATUS=0\n", "EXIT: STATUS=1\n"]
                .iter()
                .any(|end| said.ends_with(end)),
            "{}:\n{said}",
            finished.outcome
        );
        Ok(())
    }
}

fn boot(label: &str) -> Result<Boot> {
    // Several CPUs: threads are patched while they run.
    Ok(Boot::new(label, "default", "mode=shell input=script")?.cpus("4"))
}

/// Waits for the end of a transition.
fn settled(channel: &mut Channel) -> Result<()> {
    let left = channel.settle(PATIENCE)?;
    ensure!(left.is_none(), "the transition goes on: {left:?}");
    Ok(())
}

/// A text with a mark for each address and each thread's number, which differ from kernel to
/// kernel and from time to time.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("0x").into_iter().chain(rest.find('-')).min() {
        let is_hex = rest[at..].starts_with("0x");
        let (before, number) = rest.split_at(at + if is_hex { 2 } else { 1 });
        let is_other = |c: char| {
            !(if is_hex {
                c.is_ascii_hexdigit()
            } else {
                c.is_ascii_digit()
            })
        };
        let digits = number.find(is_other).unwrap_or(number.len());
        plain += before;
        plain += if digits > 4 || (digits > 0 && !is_hex) {
            "#"
        } else {
            &number[..digits]
        };
        rest = &number[digits..];
    }
    plain + rest
}

/// Fails unless each edit has answered as it must: before it, with it, when it was taken out
/// again, and in the kernel that was built with it.
pub fn judge(edits: &[&Edit], [before, with, undone, built]: [&[String]; 4]) -> Result<()> {
    let mut wrong = Vec::new();
    for (index, edit) in edits.iter().enumerate() {
        let name = &edit.name;
        for answer in &edit.answers {
            if before[index].contains(answer) {
                wrong.push(format!(
                    "{name}: `{answer}` came before the patch:\n{}",
                    before[index]
                ));
            }
            if !with[index].contains(answer) {
                wrong.push(format!("{name}: no `{answer}` in:\n{}", with[index]));
            }
        }
        if undone[index] != before[index] {
            wrong.push(format!(
                "{name}: undone, it is not as before: {}\n{}",
                undone[index], before[index]
            ));
        }
        if built[index] != with[index] {
            wrong.push(format!(
                "{name}: the built kernel says {}\nand the patched one {}",
                built[index], with[index]
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Has edits judged by kernels that run. Returns how long it took to send the module and to
/// enable it.
pub fn try_out(
    label: &str,
    copy: &Copy,
    built: &Built,
    edits: &[&Edit],
    name: &str,
    file: &[u8],
) -> Result<[Duration; 2]> {
    let mut old = Running::old(label)?;
    let before = old.answers(edits)?;
    let times = old.patch(name, file)?;
    let with = old.answers(edits)?;
    old.undo(name)?;
    let undone = old.answers(edits)?;
    old.end()?;
    let mut new = Running::new(label, copy, built)?;
    let answers = new.answers(edits)?;
    new.end()?;
    judge(edits, [&before, &with, &undone, &answers])?;
    Ok(times)
}

/// Fails unless exactly this was found.
pub fn expect(made: &Made, edits: &[&Edit]) -> Result<()> {
    Found::in_made(made).expect(&Found::of_all(edits))
}
