//! The controls, by the names of Linux's tracefs files.

use super::{
    format, function, graph, hits,
    record::{self, Context, Event},
};
use alloc::{string::String, vec::Vec};
use core::fmt::{self, Write};
use ftrace::{Filter, FtraceError, Ops};
use machine::cpus;
use thread::Mutex;

/// The controls, with what they are for.
pub const CONTROLS: &[(&str, &str)] = &[
    (
        "available_tracers",
        "the tracers that `current_tracer` takes",
    ),
    (
        "current_tracer",
        "which tracer is attached: nop, function or function_graph",
    ),
    (
        "available_filter_functions",
        "the functions that can be traced",
    ),
    (
        "set_ftrace_filter",
        "names or globs of the functions to trace; none means all",
    ),
    (
        "set_ftrace_notrace",
        "names or globs of functions to leave out",
    ),
    (
        "enabled_functions",
        "the functions that something is attached to, and what",
    ),
    (
        "tracing_on",
        "1: the tracer records; 0: what it has recorded stays as it is",
    ),
    ("trace", "what was recorded; written to, it is emptied"),
    (
        "per_cpu/cpu0/trace",
        "what was recorded on one CPU; cpu1 and so on for the others",
    ),
    (
        "per_cpu/cpu0/stats",
        "how many records one CPU's ring holds, has taken and has lost",
    ),
    (
        "function_profile_enabled",
        "1: every call of a filtered function is counted",
    ),
    ("trace_stat/function0", "how often each function was called"),
    (
        "ftrace_enabled",
        "0: no site is patched, whatever is registered",
    ),
];

const TRACERS: &[(&str, Option<&Ops>)] = &[
    ("nop", None),
    ("function", Some(&function::OPS)),
    ("function_graph", Some(&graph::OPS)),
];

/// Why a control could not be read or written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ControlError {
    /// There is no control of this name.
    Unknown(String),
    /// The control can only be read, or only be written.
    NotPossible(&'static str),
    /// The control does not take this value, but these.
    BadValue {
        /// What was written.
        value: String,
        /// What can be.
        allowed: &'static str,
    },
    /// The tracer could not be attached.
    Ftrace(FtraceError),
    /// No memory.
    OutOfMemory,
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(
                    f,
                    "there is no control `{}`; there are:",
                    name.escape_default()
                )?;
                CONTROLS
                    .iter()
                    .try_for_each(|(name, _)| write!(f, " {name}"))
            }
            Self::NotPossible(name) => write!(f, "`{name}` can't be used that way"),
            Self::BadValue { value, allowed } => {
                write!(f, "value `{}`; allowed: {allowed}", value.escape_default())
            }
            Self::Ftrace(error) => error.fmt(f),
            Self::OutOfMemory => f.write_str("no memory"),
        }
    }
}

impl From<FtraceError> for ControlError {
    fn from(error: FtraceError) -> Self {
        Self::Ftrace(error)
    }
}

/// What is to be attached, and to what.
#[derive(Clone)]
struct Wanted {
    tracer: usize,
    filter: Filter,
    on: bool,
    profiling: bool,
}

struct State {
    wanted: Wanted,
    /// Taken out of the rings, and still to be shown.
    kept: Vec<(Context, Event)>,
}

static STATE: Mutex<State> = Mutex::named(
    "tracing::STATE",
    State {
        wanted: Wanted {
            tracer: 0,
            filter: Filter::all(),
            on: true,
            profiling: false,
        },
        kept: Vec::new(),
    },
);

impl Wanted {
    /// The ops that are attached: the tracer's, and the one that counts.
    fn ops(&self) -> impl Iterator<Item = &'static Ops> {
        let tracer = TRACERS[self.tracer].1.filter(|_| self.on);
        let counts = self.profiling.then_some(&hits::OPS);
        tracer.into_iter().chain(counts)
    }

    /// Whether an ops is attached, with this filter.
    fn has(&self, ops: &Ops, filter: &Filter) -> bool {
        self.filter == *filter && self.ops().any(|one| core::ptr::eq(one, ops))
    }
}

/// Detaches what `from` has and `to` has not. What both have stays as it is: the functions
/// may have gone with their module, and then it could not be attached again.
fn detach(from: &Wanted, to: &Wanted) -> Result<(), FtraceError> {
    for ops in from.ops().filter(|ops| !to.has(ops, &from.filter)) {
        match ftrace::unregister(ops) {
            Ok(()) | Err(FtraceError::NotRegistered(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Changes what is attached from `from` to `to`.
fn exchange(from: &Wanted, to: &Wanted) -> Result<(), FtraceError> {
    detach(from, to)?;
    let mut new = to.ops().filter(|ops| !from.has(ops, &to.filter));
    new.try_for_each(|ops| ftrace::register(ops, &to.filter).map(drop))
}

/// Undoes what [`exchange`] has done until it failed.
fn put_back(from: &Wanted, to: &Wanted) -> Result<(), FtraceError> {
    detach(to, from)?;
    for ops in from.ops().filter(|ops| !to.has(ops, &from.filter)) {
        match ftrace::register(ops, &from.filter) {
            // It was attached to nothing any more, or not detached yet.
            Ok(_) | Err(FtraceError::NoFunction | FtraceError::Registered(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Changes what is attached by `change`; puts back what was if that does not work.
fn update(change: impl FnOnce(&mut Wanted)) -> Result<(), ControlError> {
    let mut state = STATE.lock();
    let mut new = state.wanted.clone();
    change(&mut new);
    if let Err(error) = exchange(&state.wanted, &new) {
        put_back(&state.wanted, &new)?;
        return Err(error.into());
    }
    state.wanted = new;
    Ok(())
}

fn switch(value: &str) -> Result<bool, ControlError> {
    match value {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(ControlError::BadValue {
            value: value.into(),
            allowed: "0, 1",
        }),
    }
}

/// Writes a value to a control.
///
/// # Errors
/// [`ControlError`]. On error, nothing has changed.
pub fn write(name: &str, value: &str) -> Result<(), ControlError> {
    let value = value.trim();
    match name {
        "current_tracer" => {
            let tracer = TRACERS.iter().position(|&(name, _)| name == value);
            let tracer = tracer.ok_or_else(|| ControlError::BadValue {
                value: value.into(),
                allowed: "nop, function, function_graph",
            })?;
            update(|wanted| wanted.tracer = tracer)
        }
        "set_ftrace_filter" | "set_ftrace_notrace" => {
            let names: Vec<&str> = value.split_ascii_whitespace().collect();
            update(|new| {
                let filter = &new.filter;
                let (wanted, unwanted): (Vec<&str>, Vec<&str>) = if name == "set_ftrace_filter" {
                    (
                        names,
                        filter.unwanted().iter().map(String::as_str).collect(),
                    )
                } else {
                    (filter.wanted().iter().map(String::as_str).collect(), names)
                };
                let filter = Filter::only(&wanted);
                new.filter = unwanted
                    .iter()
                    .fold(filter, |filter, name| filter.but_not(name));
            })
        }
        "tracing_on" => {
            let on = switch(value)?;
            match update(|wanted| wanted.on = on) {
                // The functions have gone while it was off, and there is nothing to record.
                Err(ControlError::Ftrace(FtraceError::NoFunction)) => {
                    STATE.lock().wanted.on = on;
                    Ok(())
                }
                result => result,
            }
        }
        "function_profile_enabled" => {
            let on = switch(value)?;
            if on {
                hits::reset().map_err(|_| ControlError::OutOfMemory)?;
            }
            update(|wanted| wanted.profiling = on)
        }
        "ftrace_enabled" => Ok(ftrace::set_enabled(switch(value)?)?),
        "trace" => {
            let mut state = STATE.lock();
            while record::pop().is_some() {}
            state.kept = Vec::new();
            Ok(())
        }
        _ => Err(
            match CONTROLS.iter().find(|(control, _)| *control == name) {
                Some((control, _)) => ControlError::NotPossible(control),
                None => ControlError::Unknown(name.into()),
            },
        ),
    }
}

/// Reads a control into `out`.
///
/// # Errors
/// [`ControlError`].
pub fn read(name: &str, out: &mut dyn Write) -> Result<(), ControlError> {
    // Writing to a string or to the console does not fail.
    let written = match name {
        "available_tracers" => {
            let names = TRACERS.iter().rev().map(|&(name, _)| name);
            writeln!(out, "{}", names.collect::<Vec<_>>().join(" "))
        }
        "current_tracer" => writeln!(out, "{}", TRACERS[STATE.lock().wanted.tracer].0),
        "available_filter_functions" => ftrace::sites()
            .iter()
            .try_for_each(|site| writeln!(out, "{}", site.path())),
        "set_ftrace_filter" => names(
            out,
            STATE.lock().wanted.filter.wanted(),
            "#### all functions enabled ####",
        ),
        "set_ftrace_notrace" => names(
            out,
            STATE.lock().wanted.filter.unwanted(),
            "#### no functions disabled ####",
        ),
        "enabled_functions" => enabled_functions(out),
        "tracing_on" => writeln!(out, "{}", u8::from(STATE.lock().wanted.on)),
        "function_profile_enabled" => writeln!(out, "{}", u8::from(STATE.lock().wanted.profiling)),
        "ftrace_enabled" => writeln!(out, "{}", u8::from(ftrace::is_enabled())),
        "trace" => trace(out, None),
        "trace_stat/function0" => format::profile(out, &hits::ranking()),
        _ => match of_cpu(name) {
            Some((cpu, "trace")) => trace(out, Some(cpu)),
            Some((cpu, "stats")) => format::stats(out, record::counts(cpu)),
            _ => return Err(ControlError::Unknown(name.into())),
        },
    };
    written.map_err(|_| ControlError::OutOfMemory)
}

/// The CPU that a control is about, by number, and which of its controls it is.
fn of_cpu(name: &str) -> Option<(usize, &str)> {
    let (cpu, control) = name.strip_prefix("per_cpu/cpu")?.split_once('/')?;
    let cpu = cpu.parse().ok()?;
    (cpu < cpus::count()).then_some((cpu, control))
}

fn names(out: &mut dyn Write, names: &[String], none: &str) -> fmt::Result {
    if names.is_empty() {
        return writeln!(out, "{none}");
    }
    names.iter().try_for_each(|name| writeln!(out, "{name}"))
}

/// Each traced function, with how many ops it has and which.
fn enabled_functions(out: &mut dyn Write) -> fmt::Result {
    for site in ftrace::sites().iter() {
        let ops = ftrace::attached(site);
        if !ops.is_empty() {
            writeln!(out, "{} ({}) {}", site.path(), ops.len(), ops.join(" "))?;
        }
    }
    Ok(())
}

/// Puts records in the order of their times. Nearly all are in it: those that are not are
/// moved back, past those of other CPUs or of an interrupt. Needs no memory, and leaves
/// those of one time as they are.
fn sort(records: &mut [(Context, Event)]) {
    for mut place in 1..records.len() {
        while place > 0 && records[place - 1].0.time > records[place].0.time {
            records.swap(place - 1, place);
            place -= 1;
        }
    }
}

/// What was recorded, on all CPUs or on one.
fn trace(out: &mut dyn Write, only: Option<usize>) -> fmt::Result {
    let mut state = STATE.lock();
    // What does not fit into memory stays in the rings.
    while state.kept.try_reserve(1).is_ok()
        && let Some(record) = record::pop()
    {
        state.kept.push(record);
    }
    sort(&mut state.kept);
    let kept = core::mem::take(&mut state.kept);
    let tracer = TRACERS[state.wanted.tracer].0;
    drop(state);
    let is_shown = |record: &(Context, Event)| only.is_none_or(|cpu| record.0.cpu as usize == cpu);
    let (written, dropped) = match only.map(record::counts) {
        None => (record::written(), record::dropped()),
        Some(counts) => (counts.written, counts.dropped),
    };
    if tracer == "function_graph" {
        format::graph_header(out)?;
    } else {
        let shown = kept.iter().filter(|record| is_shown(record)).count();
        format::function_header(out, shown, written)?;
    }
    format::losses(out, dropped)?;
    for (index, record) in kept
        .iter()
        .enumerate()
        .filter(|(_, record)| is_shown(record))
    {
        // What goes on on other CPUs lies in between.
        let here = |other: &&(Context, Event)| other.0.cpu == record.0.cpu;
        let previous = kept[..index].iter().rev().find(here);
        let next = kept[index + 1..].iter().find(here);
        let same = |other: &&(Context, Event)| other.0.thread == record.0.thread;
        if let Some(previous) = previous
            && !same(&previous)
            && tracer == "function_graph"
        {
            format::thread_switch(out, &previous.0, &record.0)?;
        }
        if !format::is_folded(previous.filter(same), record) {
            format::line(out, record, next.filter(same))?;
        }
    }
    let mut state = STATE.lock();
    // Another reader's records are younger.
    let younger = core::mem::replace(&mut state.kept, kept);
    state.kept.extend(younger);
    Ok(())
}
