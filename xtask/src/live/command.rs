//! `live`: an edit of the kernel's source becomes a patch of the kernel that runs.

use super::base::{self, Base};
use super::channel::{Channel, Hello, Limits, State, Status, kernels};
use super::patch::{self, Made, Wanted};
use super::said::{timing, told};
use super::tree::{Copy, FOR_DIFF};
use crate::image::{self, Image};
use crate::kernel::{self, Built};
use crate::run::seconds;
use crate::tool;
use anyhow::{Context, Result, bail, ensure};
use kdiff::{Form, Returns};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Options of `live`.
#[derive(Clone, Debug, clap::Args)]
pub struct LiveArgs {
    /// Take the live patch out of the running kernel
    #[arg(long, conflicts_with_all = ["dry", "diff"])]
    pub undo: bool,
    /// Only say what differs, and make the module
    #[arg(long)]
    pub dry: bool,
    /// Take the change from a patch file, and leave the tree alone
    #[arg(long, value_name = "FILE")]
    pub diff: Option<PathBuf>,
    /// What the module's code has in r2: the kernel's TOC pointer, or its own
    #[arg(long, value_name = "FORM", value_enum, default_value_t = FormName::KernelsToc)]
    pub form: FormName,
    /// The most functions that the patch may replace
    #[arg(long, value_name = "NUMBER", default_value_t = kdiff::MOST_FUNCTIONS)]
    pub most: usize,
    /// The image, if no kernel runs: klplab, klplab-lab or klplab-test
    #[arg(long, value_name = "NAME", value_parser = image::named)]
    pub image: Option<Image>,
    /// The kernel's socket, if several run
    #[arg(long, value_name = "PATH")]
    pub kernel: Option<PathBuf>,
    /// How long the transition is waited for
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "60")]
    pub wait: Duration,
}

/// The forms, as they are typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum FormName {
    /// The kernel's TOC pointer: fits every variant.
    KernelsToc,
    /// A TOC pointer of the module's own: returns are rewritten.
    OwnToc,
}

/// What the first live patch is called; the next ones have a number behind it.
const NAME: &str = "live";

/// How often the transition is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How often those are told again that block it.
const TELL: Duration = Duration::from_secs(2);

/// The kernel that is patched.
struct Running {
    channel: Channel,
    hello: Hello,
    status: Status,
}

/// Makes a patch of what differs from the kernel that runs, and brings it in. Says whether it did
/// what was asked for.
///
/// # Errors
/// When the options are wrong, the kernel does not build, or it is not reached.
pub fn live(args: &LiveArgs) -> Result<bool> {
    let start = Instant::now();
    let mut running = connect(args.kernel.as_deref())?;
    if args.undo {
        let running = running
            .as_mut()
            .context("no kernel runs: start one with `make shell`")?;
        return undo(running, args.wait);
    }
    let (image, id) = match &running {
        Some(running) => (
            image::named(&running.hello.image)?,
            running.hello.build_id.clone(),
        ),
        None => newest(args.image.unwrap_or_default())?,
    };
    let base = Base::find(&id)?;
    // With a patch file, a copy of the sources, until they have been compared.
    let copy = args
        .diff
        .as_ref()
        .map(|_| Copy::fresh(FOR_DIFF))
        .transpose()?;
    let (built, tree) = match (&args.diff, &copy) {
        (Some(diff), Some(copy)) => {
            copy.apply(diff)?;
            (copy.link(image)?, copy.sources())
        }
        _ => {
            let tree = tool::workspace().to_owned();
            (kernel::link(image, &tree, &tool::target_dir())?, tree)
        }
    };
    let name = running
        .as_ref()
        .map_or_else(|| NAME.to_owned(), |one| next_name(&one.status));
    let variant = running
        .as_ref()
        .map_or("epilogue", |running| &running.hello.variant);
    let wanted = Wanted {
        name: &name,
        form: form(args.form, variant)?,
        most: args.most,
    };
    let mut times = vec![("build", start.elapsed())];
    let made = compare(&base, &built, &tree, &wanted, &mut times)?;
    print!("{}", told(&made));
    if !made.refused.is_empty() {
        println!("{}", timing(&times));
        return Ok(false);
    }
    let Some(module) = &made.module else {
        println!("the tree is what the kernel was built from");
        return match running {
            Some(mut running) if !args.dry && live_patches(&running.status).next().is_some() => {
                undo(&mut running, args.wait)
            }
            _ => Ok(true),
        };
    };
    let path = tool::target_dir()
        .join("klplab")
        .join("live")
        .join(format!("{name}.ko"));
    tool::replace_file(&path, &module.file)?;
    if args.dry {
        println!(
            "the module is {}; nothing was sent\n{}",
            path.display(),
            timing(&times)
        );
        return Ok(true);
    }
    let Some(running) = &mut running else {
        println!(
            "no kernel runs. The module is {}, for the kernel of build {id}: start that one with \
             `make shell BUILD={id}`, and `make live` sends it",
            path.display()
        );
        return Ok(true);
    };
    let ended = send(running, &name, &module.file, args.wait, &mut times)?;
    println!("{}", timing(&times));
    Ok(ended)
}

/// The kernel that runs; none if none does. Of several, it is the one that was built from this tree.
fn connect(path: Option<&Path>) -> Result<Option<Running>> {
    if let Some(path) = path {
        return reach(path).map(Some);
    }
    let mut found = kernels()?;
    if found.len() < 2 {
        return found.pop().map(|one| reach(&one.path)).transpose();
    }
    // One that does not answer is not the one; if it is the only one, it is told above.
    let reached = found
        .iter()
        .filter_map(|one| Some((one, reach(&one.path).ok()?)));
    let mut ours: Vec<_> = reached
        .filter(|(_, running)| Base::find(&running.hello.build_id).is_ok())
        .collect();
    if ours.len() > 1 {
        let mut all = String::new();
        for (one, running) in &ours {
            let Hello { image, variant, .. } = &running.hello;
            let _ = write!(
                all,
                "\n  KERNEL={} ({image}, {variant})",
                one.path.display()
            );
        }
        bail!("{} kernels run: say which one is meant:{all}", ours.len());
    }
    Ok(ours.pop().map(|(_, running)| running))
}

fn reach(path: &Path) -> Result<Running> {
    let mut channel = Channel::connect(path, Limits::default())?;
    let (hello, status) = (channel.hello()?, channel.status()?);
    Ok(Running {
        channel,
        hello,
        status,
    })
}

/// The image and the build id of the kernel that was made ready to boot last.
fn newest(image: Image) -> Result<(Image, String)> {
    let path = image::path(image);
    let kernel = std::fs::read(&path).ok().with_context(|| {
        format!(
            "no kernel runs, and there is no {}: start one with `make shell`",
            path.display()
        )
    })?;
    Ok((image, base::in_hex(&crate::modules::build_id(&kernel)?)))
}

fn form(name: FormName, variant: &str) -> Result<Form> {
    if name == FormName::KernelsToc {
        return Ok(Form::KernelsToc);
    }
    match variant {
        "epilogue" => Ok(Form::OwnToc(Returns::Restore)),
        "mini-frame" | "livepatch-stack" => Ok(Form::OwnToc(Returns::Plain)),
        other => bail!(
            "the kernel runs with variant `{other}`, which takes no code with a TOC pointer of its own: \
             leave FORM away"
        ),
    }
}

fn compare(
    base: &Base,
    built: &Built,
    tree: &Path,
    wanted: &Wanted<'_>,
    times: &mut Vec<(&'static str, Duration)>,
) -> Result<Made> {
    let start = Instant::now();
    let files = patch::read(base, built, tree)?;
    times.push(("read", start.elapsed()));
    let made = patch::make(&files, wanted)?;
    times.extend(&made.times);
    Ok(made)
}

/// The live patches that a kernel has, by name.
fn live_patches(status: &Status) -> impl Iterator<Item = &str> {
    let names = status.patches.iter().map(|patch| &*patch.name);
    names.filter(|name| number(name).is_some())
}

/// The number of a live patch.
fn number(name: &str) -> Option<u32> {
    match name.strip_prefix(NAME)? {
        "" => Some(1),
        rest => rest.strip_prefix('_')?.parse().ok(),
    }
}

fn next_name(status: &Status) -> String {
    match live_patches(status).filter_map(number).max() {
        None => NAME.to_owned(),
        Some(last) => format!("{NAME}_{}", last + 1),
    }
}

/// Loads the module, enables it, follows the transition, and takes out what it replaces.
fn send(
    running: &mut Running,
    name: &str,
    file: &[u8],
    wait: Duration,
    times: &mut Vec<(&'static str, Duration)>,
) -> Result<bool> {
    let mut start = Instant::now();
    let enabled = running
        .status
        .patches
        .iter()
        .filter(|one| one.state == State::Enabled);
    for one in enabled.filter(|one| number(&one.name).is_none()) {
        println!("note: it takes the place of patch `{}`", one.name);
    }
    let loaded = running.channel.load(file)?;
    ensure!(
        loaded == name,
        "the kernel calls the module `{loaded}` instead of `{name}`"
    );
    times.push(("send", start.elapsed()));
    start = Instant::now();
    if let Err(refused) = running.channel.enable(name) {
        // It is as if it had never come.
        let _ = running.channel.unload(name);
        return Err(refused.into());
    }
    let ended = follow(running, wait)?;
    times.push(("enable", start.elapsed()));
    if ended {
        println!("patch `{name}` is enabled");
        remove_others(running, Some(name))?;
    }
    Ok(ended)
}

/// Takes the live patches out.
fn undo(running: &mut Running, wait: Duration) -> Result<bool> {
    let last = live_patches(&running.status).max_by_key(|name| number(name));
    let Some(last) = last.map(str::to_owned) else {
        println!("the kernel has no live patch");
        return Ok(true);
    };
    let mut patches = running.status.patches.iter();
    if patches.any(|one| one.name == last && one.state == State::Enabled) {
        running.channel.disable(&last)?;
        if !follow(running, wait)? {
            return Ok(false);
        }
        println!("patch `{last}` is disabled");
    }
    remove_others(running, None)?;
    Ok(true)
}

/// Unloads the live patches that are not used any more.
fn remove_others(running: &mut Running, kept: Option<&str>) -> Result<()> {
    running.status = running.channel.status()?;
    let names: Vec<String> = live_patches(&running.status).map(str::to_owned).collect();
    for name in names.iter().filter(|name| Some(&***name) != kept) {
        match running.channel.unload(name) {
            Ok(()) => println!("module `{name}` is gone"),
            Err(error) => println!("module `{name}` stays: {error}"),
        }
    }
    Ok(())
}

/// Waits until the transition has ended, and says what blocks it. Says whether it has.
fn follow(running: &mut Running, wait: Duration) -> Result<bool> {
    let start = Instant::now();
    let mut told: Option<(Instant, String)> = None;
    loop {
        running.status = running.channel.status()?;
        let Some(transition) = &running.status.transition else {
            return Ok(true);
        };
        let mut text = format!(
            "{} of {} threads have switched",
            transition.switched, transition.threads
        );
        for row in transition.rows.iter().filter(|row| !row.switched) {
            let place = match row.function.is_empty() {
                true => String::new(),
                false => format!(" in {}", row.function),
            };
            let _ = write!(
                text,
                "\n  {} (CPU {}) blocks{place}: {}",
                row.name, row.cpu, row.why
            );
        }
        let is_due = told
            .as_ref()
            .is_none_or(|(when, last)| when.elapsed() >= TELL && *last != text);
        if is_due && start.elapsed() >= 4 * LOOK {
            println!("{text}");
            told = Some((Instant::now(), text));
        }
        if start.elapsed() >= wait {
            println!(
                "the transition goes on in the kernel. In its shell, `transition` shows it, `reverse` takes it \
                 back, and `force` ends it: old code may then run on beside the new"
            );
            return Ok(false);
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::super::channel::{PatchStatus, State, Status};
    use super::*;

    fn status(names: &[&str]) -> Status {
        let patch = |name: &&str| PatchStatus {
            name: (*name).to_owned(),
            state: State::Enabled,
        };
        Status {
            patches: names.iter().map(patch).collect(),
            transition: None,
        }
    }

    #[test]
    fn each_live_patch_has_a_name_of_its_own() {
        for (there, expected) in [
            (&[][..], "live"),
            (&["kinds", "livelier", "live_x"][..], "live"),
            (&["live"][..], "live_2"),
            (&["live_9", "live_10"][..], "live_11"),
        ] {
            assert_eq!(next_name(&status(there)), expected, "{there:?}");
        }
    }

    #[test]
    fn a_toc_of_its_own_is_for_variants_that_take_it() {
        assert_eq!(
            form(FormName::KernelsToc, "pcrel").unwrap(),
            Form::KernelsToc
        );
        let own = |variant| form(FormName::OwnToc, variant);
        assert_eq!(own("epilogue").unwrap(), Form::OwnToc(Returns::Restore));
        assert_eq!(own("mini-frame").unwrap(), Form::OwnToc(Returns::Plain));
        let why = own("shared-toc").unwrap_err().to_string();
        assert!(
            why.contains("`shared-toc`") && why.ends_with("leave FORM away"),
            "{why}"
        );
    }
}
