//! From two builds to a patch: what differs, what of it can't be patched, and the module.

use super::base::{self, Base};
use super::explain::{self, Edit};
use super::{linked, types};
use crate::image;
use crate::kernel::Built;
use crate::modules;
use crate::proof::{self, Rule};
use crate::tool;
use anyhow::{Context, Result, bail};
use kdiff::{Build, Change, Form, Image, Note, Plan, Request, path};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

#[path = "../../../kernel/ftrace/src/notrace.rs"]
#[allow(dead_code, reason = "the kernel asks it another question")]
pub(super) mod notrace;

/// What is wanted of a patch.
#[derive(Clone, Debug)]
pub struct Wanted<'w> {
    /// What the module is called.
    pub name: &'w str,
    /// What its code has in r2.
    pub form: Form,
    /// The most functions that it may replace.
    pub most: usize,
}

/// What was found, and the module, if nothing stands against it.
#[derive(Debug)]
pub struct Made {
    /// A line for each function and static that differs.
    pub rows: Vec<Row>,
    /// What stands against a patch, a sentence each.
    pub refused: Vec<String>,
    /// What should be known of it, a sentence each.
    pub notes: Vec<String>,
    /// The module: proved, and for the kernel that was compared with. None if something
    /// stands against it, or nothing differs.
    pub module: Option<Module>,
    /// How long each part took.
    pub times: Vec<(&'static str, Duration)>,
    /// How many functions were compared.
    pub compared: usize,
}

/// A patch's module.
#[derive(Clone, Debug)]
pub struct Module {
    /// The file.
    pub file: Vec<u8>,
    /// The functions that it replaces, by the linker's names.
    pub replaced: Vec<String>,
    /// What it has besides, in words; nothing if it has nothing.
    pub carried: Vec<String>,
}

/// Something that differs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// In which way.
    pub change: Change,
    /// `fn` or `static`.
    pub sort: &'static str,
    /// Its path.
    pub path: String,
    /// The crate that the compiler has put it into, if that is not the first word of the path:
    /// it is generic or inlined, and each crate has its own.
    pub within: Option<String>,
    /// File and line, if they are known.
    pub place: String,
    /// What of the edit reaches it, if it is not its own.
    pub why: Vec<String>,
}

/// The archives of two builds, read.
pub struct Files {
    kernel: Vec<u8>,
    never_return: BTreeSet<String>,
    old: BTreeMap<String, Vec<u8>>,
    new: BTreeMap<String, Vec<u8>>,
    same: Vec<String>,
    edit: Edit,
    /// What differs and is in no archive, by path.
    elsewhere: Vec<String>,
}

/// Reads what is to be compared; `tree` is where the sources of the new build are.
///
/// # Errors
/// When a file can't be read, or the builds are not of one compiler, flags and packages.
pub fn read(base: &Base, built: &Built, tree: &Path) -> Result<Files> {
    let before = base.archives()?;
    let kernel = base.kernel()?;
    let (sources, edited) = (base.sources()?, base::sources_in(tree)?);
    let mut files = Files {
        never_return: base.never_return(&kernel)?,
        kernel,
        old: BTreeMap::new(),
        new: BTreeMap::new(),
        same: Vec::new(),
        edit: Edit::between(&sources, &edited),
        elsewhere: linked::differing(&sources, &edited, image::of(&built.executable)),
    };
    for path in &built.archives {
        let name = base::archive_name(path);
        match before.get(&name) {
            Some(old) if base::is_one_file(old, path) => files.same.push(name.clone()),
            Some(old) => drop(files.old.insert(name.clone(), tool::read_file(old)?)),
            None => {}
        }
        files.new.insert(name, tool::read_file(path)?);
    }
    if let Some(name) = before.keys().find(|name| !files.new.contains_key(*name)) {
        bail!(kdiff::CompareError::Archive {
            archive: name.clone()
        });
    }
    Ok(files)
}

/// Compares the builds, and makes a patch of what differs.
///
/// # Errors
/// When an object can't be read.
pub fn make(files: &Files, wanted: &Wanted<'_>) -> Result<Made> {
    let mut times = Vec::new();
    let mut start = Instant::now();
    let mut took = |part, start: &mut Instant| {
        times.push((part, start.elapsed()));
        *start = Instant::now();
    };
    let (mut old, mut new) = (Build::default(), Build::default());
    for (name, bytes) in &files.new {
        new.add(name, bytes)?;
    }
    for (name, bytes) in &files.old {
        old.add(name, bytes)?;
    }
    for name in &files.same {
        old.add_same(name);
    }
    new.name_units_as(&old);
    let comparison = kdiff::compare(&old, &new)?;
    let image = Image::read(&files.kernel)?;
    let plan = kdiff::plan(
        &comparison,
        &old,
        &new,
        &image,
        wanted.most,
        &notrace::reason,
    );
    took("compare", &mut start);

    let types = types::judge(&comparison, &old, &new, &plan);
    let rows = explain::rows(&comparison, &old, &new, &files.edit);
    took("explain", &mut start);

    let mut refused: Vec<String> = plan.refused.iter().map(ToString::to_string).collect();
    refused.extend(types.refused);
    refused.extend(files.elsewhere.iter().map(|name| {
        format!(
            "{name} has changed: the kernel's file is linked from it as a whole, and nothing of it can be replaced. \
             Boot the new kernel"
        )
    }));
    let mut module = None;
    if refused.is_empty() && !comparison.is_empty() {
        let request = Request {
            name: wanted.name,
            form: wanted.form,
            replace: true,
            functions: &plan.roots,
            hooks: &plan.hooks,
        };
        match kdiff::module(&new, &comparison, &image, &request) {
            Ok(made) => module = Some(made),
            Err(why) => refused.extend(why.iter().map(ToString::to_string)),
        }
    }
    took("extract", &mut start);

    let module = match module
        .map(|made| seal(made, &image, &files.never_return))
        .transpose()?
    {
        Some(Ok(module)) => Some(module),
        Some(Err(violations)) => {
            refused.extend(violations.iter().map(sentence));
            None
        }
        None => None,
    };
    took("prove", &mut start);
    Ok(Made {
        rows,
        refused,
        notes: notes(&plan).into_iter().chain(types.notes).collect(),
        module,
        compared: comparison.compared,
        times,
    })
}

/// What is said of a rule that a module breaks.
fn sentence(one: &proof::Violation) -> String {
    match one.rule {
        Rule::FrameTooLarge { .. } => {
            format!("{} can't be replaced: it {}", one.function, one.rule)
        }
        _ => format!("the module would not be proved: {one}"),
    }
}

/// Proves a module, and says so in it; or says what it breaks. What the compiler makes is not
/// made for this, such as a frame that is larger than the guard below a stack.
pub(super) fn seal(
    made: kdiff::Module,
    image: &Image<'_>,
    never_return: &BTreeSet<String>,
) -> Result<Result<Module, Vec<proof::Violation>>> {
    let outcome = proof::prove_for(&made.file, never_return).context("the module that was made")?;
    if let proof::Outcome::Violated(violations) = outcome {
        return Ok(Err(violations));
    }
    let mut carried = Vec::new();
    for name in &made.carried.functions {
        carried.push(format!("fn {}", path(name)));
    }
    for name in &made.carried.statics {
        carried.push(format!(
            "static {}, which is gone with the patch",
            path(name)
        ));
    }
    Ok(Ok(Module {
        file: modules::stamp(made.file, &image.build_id)?,
        replaced: made.replaced,
        carried,
    }))
}

impl Row {
    pub(super) fn new(change: Change, sort: &'static str, name: &str, archive: &str) -> Row {
        let path = path(name);
        let owner = archive
            .trim_start_matches("lib")
            .split('-')
            .next()
            .unwrap_or_default();
        // `<demo::bank::Account as Trait>::method` is demo's.
        let first = path.trim_start_matches(['<', '&', '*']).split("::").next();
        let is_owners = first == Some(owner) || !path.contains("::");
        Row {
            change,
            sort,
            path,
            within: (!is_owners).then(|| owner.to_owned()),
            place: String::new(),
            why: Vec::new(),
        }
    }
}

fn notes(plan: &Plan) -> Vec<String> {
    plan.notes
        .iter()
        .map(|note| match note {
            Note::NotThere { function } => format!(
                "{} has changed and is not in the running kernel: it is in those that call it",
                path(function)
            ),
            Note::NeverReturns { function } => format!(
                "{} never returns: while a thread is in it, the transition does not end by itself (`transition` in \
                 the shell shows the thread, `force` lets it go on in the old code)",
                path(function)
            ),
            Note::Updated { name } => format!("{name} is brought up to date by the change itself"),
        })
        .collect()
}
