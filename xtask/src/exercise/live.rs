//! The exercises whose answer is an edit of the kernel: it becomes a live patch of the kernel
//! before the edit, which runs in a guest.

mod cards;
mod tickets;

use crate::guest::{Guest, Limits};
use crate::image::Image;
use crate::kernel;
use crate::live::base::{self, Base};
use crate::live::channel::{self, Channel, fresh};
use crate::live::patch::{self, Files, Wanted};
use crate::machine::Machine;
use crate::qemu::Qemu;
use crate::tool;
use anyhow::{Context, Result, ensure};
use kdiff::Form;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

/// Something to edit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Task {
    /// The office that gives out tickets.
    Tickets,
    /// The shop that counts by card.
    Cards,
}

/// What the module is called here.
const NAME: &str = "exercise";

/// What it is called when it comes in place of the first one.
const NEXT: &str = "exercise_2";

const PROMPT: &str = "klplab> ";

/// How long a transition may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl Task {
    const ALL: [Task; 2] = [Task::Tickets, Task::Cards];

    /// The file to edit.
    const fn file(self) -> &'static str {
        match self {
            Self::Tickets => "selftest/practice/src/tickets.rs",
            Self::Cards => "selftest/practice/src/cards.rs",
        }
    }

    /// The file as it was committed.
    fn before(self) -> Result<String, String> {
        let file = self.file();
        let mut git = Command::new("git");
        git.current_dir(tool::workspace())
            .args(["show", &format!("HEAD:./{file}")]);
        let output = tool::output(&mut git).map_err(|error| format!("{error:#}"))?;
        if !output.status.success() {
            return Err(format!(
                "expected: {file} as git has it; found: git has none"
            ));
        }
        String::from_utf8(output.stdout).map_err(|_| format!("{file} is not UTF-8"))
    }

    /// Whether there is an edit at all.
    pub fn is_begun(self) -> Result<(), String> {
        let file = self.file();
        let now =
            tool::read_file(&tool::workspace().join(file)).map_err(|error| format!("{error:#}"))?;
        match self.before()?.as_bytes() == now {
            true => Err(format!("not done yet: {file} is as it was committed")),
            false => Ok(()),
        }
    }

    /// The build that the tree's differs from in this file alone; or else in what all these
    /// exercises edit.
    fn unedited(self) -> Result<Option<Base>> {
        let now = base::sources_in(tool::workspace())?;
        let bases = bases()?;
        for edited in [&[self][..], &Self::ALL] {
            let mut wanted = now.clone();
            for task in edited {
                wanted.insert(
                    task.file().into(),
                    task.before().map_err(anyhow::Error::msg)?,
                );
            }
            if let Some((base, _)) = bases.iter().find(|(_, sources)| *sources == wanted) {
                return Ok(Some(base.clone()));
            }
        }
        Ok(None)
    }

    /// Judges the edit, in a tree that was built.
    pub fn judge(self) -> Result<Result<(), String>> {
        let Some(base) = self.unedited()? else {
            return Ok(Err(format!(
                "expected: a build that was kept of the tree as it is, but for {}; found: none.\n\
                 Put the edit aside (`git stash`), run `make shell IMAGE=klplab-test </dev/null`, and take it \
                 back (`git stash pop`)",
                self.file()
            )));
        };
        let built = kernel::link(Image::Test, tool::workspace(), &tool::target_dir())?;
        let files = patch::read(&base, &built, tool::workspace())?;
        let first = match module(&files, NAME)? {
            Ok(first) => first,
            Err(why) => return Ok(Err(why)),
        };
        let running = Running::start(&base)?;
        let judged = match self {
            Self::Tickets => tickets::try_out(running, &first),
            Self::Cards => match module(&files, NEXT)? {
                Ok(next) => cards::try_out(running, &first, &next),
                Err(why) => return Ok(Err(why)),
            },
        };
        Ok(judged.map_err(|error| format!("{error:#}")))
    }
}

/// The builds of the image that were kept, each with its sources.
fn bases() -> Result<Vec<(Base, BTreeMap<String, String>)>> {
    let mut bases = Vec::new();
    for base in base::all()? {
        let archives = base.archives()?;
        if archives.keys().any(|name| name.starts_with("libselftest")) {
            let sources = base.sources()?;
            bases.push((base, sources));
        }
    }
    Ok(bases)
}

/// What `make live` would send; or why it would not.
fn module(files: &Files, name: &str) -> Result<Result<Vec<u8>, String>> {
    let wanted = Wanted {
        name,
        form: Form::KernelsToc,
        most: kdiff::MOST_FUNCTIONS,
    };
    let made = patch::make(files, &wanted)?;
    Ok(match (made.refused.first(), made.module) {
        (Some(refused), _) => Err(format!(
            "expected: an edit that `make live` takes; found: {refused}"
        )),
        (None, Some(module)) => Ok(module.file),
        (None, None) => Err("not done yet: the edit changes no code".into()),
    })
}

/// A kernel without the edit, whose functions are called.
struct Running {
    guest: Guest,
    channel: Channel,
}

impl Running {
    fn start(base: &Base) -> Result<Running> {
        let append = "mode=shell";
        let mut qemu = Qemu::new(Machine::find("default")?, &base.path(), append);
        let path = fresh()?;
        qemu.channel = Some(path.clone());
        let mut guest = Guest::start(&qemu, false, Some(Limits::default()))?;
        guest.expect(PROMPT)?;
        let channel = Channel::connect(&path, channel::Limits::default())?;
        Ok(Running { guest, channel })
    }

    /// Calls a function. `what` says what it must return.
    fn expect(&mut self, function: &str, numbers: &[u64], wanted: u64, what: &str) -> Result<()> {
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        self.guest
            .send_line(&format!("call {function} {}", numbers.join(" ")))?;
        let said = self.guest.expect(PROMPT)?;
        let head = format!("{function}({}) = ", numbers.join(", "));
        let found = said
            .lines()
            .find_map(|line| line.trim().strip_prefix(&head));
        let found = found.with_context(|| format!("expected: `{head}...`; found:\n{said}"))?;
        ensure!(
            found == wanted.to_string(),
            "expected: {what}; found: {found}"
        );
        Ok(())
    }

    fn enable(&mut self, name: &str, module: &[u8]) -> Result<()> {
        self.channel.load(module)?;
        self.channel.enable(name)?;
        self.wait()
    }

    fn disable(&mut self, name: &str) -> Result<()> {
        self.channel.disable(name)?;
        self.wait()?;
        self.unload(name)
    }

    fn unload(&mut self, name: &str) -> Result<()> {
        Ok(self.channel.unload(name)?)
    }

    fn wait(&mut self) -> Result<()> {
        ensure!(
            self.channel.settle(PATIENCE)?.is_none(),
            "expected: a transition that ends; found: none within {} s",
            PATIENCE.as_secs()
        );
        Ok(())
    }

    /// Ends it.
    fn end(mut self) -> Result<()> {
        self.guest.send_line("poweroff")?;
        let ended = self.guest.finish().outcome;
        ensure!(
            ended.passed(),
            "expected: a kernel that survives the patch; found: {ended}"
        );
        Ok(())
    }
}
