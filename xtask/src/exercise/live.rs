//! The exercise whose answer is an edit of the kernel: it becomes a live patch of the kernel
//! before the edit, which runs in a guest.

use crate::guest::{Guest, Limits};
use crate::image::Image;
use crate::kernel;
use crate::live::base::{self, Base};
use crate::live::channel::{self, Channel, fresh};
use crate::live::patch::{self, Wanted};
use crate::machine::Machine;
use crate::qemu::Qemu;
use crate::tool;
use anyhow::{Context, Result, bail, ensure};
use kdiff::Form;
use std::process::Command;
use std::time::{Duration, Instant};

/// The file to edit.
const FILE: &str = "selftest/src/tickets.rs";

/// What the module is called here.
const NAME: &str = "exercise";

const PROMPT: &str = "klplab> ";

/// How long a transition may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The file as it was committed.
fn before() -> Result<String, String> {
    let mut git = Command::new("git");
    git.current_dir(tool::workspace())
        .args(["show", &format!("HEAD:./{FILE}")]);
    let output = tool::output(&mut git).map_err(|error| format!("{error:#}"))?;
    if !output.status.success() {
        return Err(format!(
            "expected: {FILE} as git has it; found: git has none"
        ));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{FILE} is not UTF-8"))
}

/// Whether there is an edit at all.
pub fn is_begun() -> Result<(), String> {
    let now =
        tool::read_file(&tool::workspace().join(FILE)).map_err(|error| format!("{error:#}"))?;
    match before()?.as_bytes() == now {
        true => Err(format!("not done yet: {FILE} is as it was committed")),
        false => Ok(()),
    }
}

/// The build that the tree's differs from in this file alone.
fn unedited() -> Result<Option<Base>> {
    let mut wanted = base::sources_in(tool::workspace())?;
    wanted.insert(FILE.into(), before().map_err(anyhow::Error::msg)?);
    for base in base::all()? {
        let is_test = base
            .archives()?
            .keys()
            .any(|name| name.starts_with("libselftest"));
        if is_test && base.sources()? == wanted {
            return Ok(Some(base));
        }
    }
    Ok(None)
}

/// Judges the edit, in a tree that was built.
pub fn judge() -> Result<Result<(), String>> {
    let Some(base) = unedited()? else {
        return Ok(Err(format!(
            "expected: a build that was kept of the tree as it is, but for {FILE}; found: none.\n\
             Put the edit aside (`git stash`), run `make shell IMAGE=klplab-test </dev/null`, and take it back \
             (`git stash pop`)"
        )));
    };
    let built = kernel::link(Image::Test, tool::workspace(), &tool::target_dir())?;
    let wanted = Wanted {
        name: NAME,
        form: Form::KernelsToc,
        most: kdiff::MOST_FUNCTIONS,
    };
    let made = patch::make(&patch::read(&base, &built, tool::workspace())?, &wanted)?;
    if let Some(refused) = made.refused.first() {
        return Ok(Err(format!(
            "expected: an edit that `make live` takes; found: {refused}"
        )));
    }
    let Some(module) = made.module else {
        return Ok(Err("not done yet: the edit changes no code".into()));
    };
    Ok(Office::open(&base)?
        .try_out(&module.file)
        .map_err(|error| format!("{error:#}")))
}

/// A kernel without the edit, in which tickets are given out.
struct Office {
    guest: Guest,
    channel: Channel,
}

impl Office {
    fn open(base: &Base) -> Result<Office> {
        let append = "mode=shell";
        let mut qemu = Qemu::new(Machine::find("default")?, &base.path(), append);
        let path = fresh()?;
        qemu.channel = Some(path.clone());
        let mut guest = Guest::start(&qemu, false, Some(Limits::default()))?;
        guest.expect(PROMPT)?;
        let channel = Channel::connect(&path, channel::Limits::default())?;
        Ok(Office { guest, channel })
    }

    /// The patch comes when no ticket is given out yet, goes, and comes once more when some are.
    fn try_out(mut self, module: &[u8]) -> Result<()> {
        self.enable(module)?;
        self.expect(9, 1, "the first ticket, after the patch came, is 1")?;
        self.disable()?;
        self.expect(
            9,
            2,
            "when the patch has gone, the old code gives out the next one, 2",
        )?;
        self.enable(module)?;
        self.expect(
            9,
            3,
            "when the patch comes again, 1 and 2 are given out, and the next one is 3",
        )?;
        self.expect(3, 0, "of three tickets none is left")?;
        self.expect(5, 5, "the last of five tickets is 5")?;
        self.disable()?;
        self.guest.send_line("poweroff")?;
        let ended = self.guest.finish().outcome;
        ensure!(
            ended.passed(),
            "expected: a kernel that survives the patch; found: {ended}"
        );
        Ok(())
    }

    fn expect(&mut self, last: u64, wanted: u64, what: &str) -> Result<()> {
        self.guest.send_line(&format!("call ticket {last}"))?;
        let said = self.guest.expect(PROMPT)?;
        let head = format!("ticket({last}) = ");
        let found = said
            .lines()
            .find_map(|line| line.trim().strip_prefix(&head));
        let found = found.with_context(|| format!("expected: a ticket; found:\n{said}"))?;
        ensure!(
            found == wanted.to_string(),
            "expected: {what}; found: {found}"
        );
        Ok(())
    }

    fn enable(&mut self, module: &[u8]) -> Result<()> {
        self.channel.load(module)?;
        self.channel.enable(NAME)?;
        self.wait()
    }

    fn disable(&mut self) -> Result<()> {
        self.channel.disable(NAME)?;
        self.wait()?;
        Ok(self.channel.unload(NAME)?)
    }

    fn wait(&mut self) -> Result<()> {
        let start = Instant::now();
        while self.channel.status()?.transition.is_some() {
            if start.elapsed() > PATIENCE {
                bail!(
                    "expected: a transition that ends; found: none within {} s",
                    PATIENCE.as_secs()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
