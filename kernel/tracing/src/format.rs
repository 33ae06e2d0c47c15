//! The trace as text, in Linux's columns.

use super::{
    gone::PathAt,
    graph,
    record::{Context, Counts, Event},
};
use alloc::{format, string::String};
use core::fmt;
use machine::{cpus, time};

/// A thread's name and number, as Linux writes them: `<...>` if it has ended.
fn task(id: u32) -> String {
    match thread::find(id) {
        Some(thread) => format!("{}-{id}", thread.name()),
        None => format!("<...>-{id}"),
    }
}

pub fn function_header(f: &mut dyn fmt::Write, kept: usize, written: u64) -> fmt::Result {
    writeln!(f, "# tracer: function")?;
    writeln!(f, "#")?;
    writeln!(
        f,
        "# entries-in-buffer/entries-written: {kept}/{written}   #P:{}",
        cpus::count()
    )?;
    writeln!(f, "#")?;
    writeln!(f, "#                                _-----=> irqs-off")?;
    writeln!(f, "#                               / _----=> need-resched")?;
    writeln!(
        f,
        "#                              | / _---=> hardirq/softirq"
    )?;
    writeln!(f, "#                              || / _--=> preempt-depth")?;
    writeln!(
        f,
        "#           TASK-PID     CPU#  ||||   TIMESTAMP  FUNCTION"
    )?;
    writeln!(f, "#              | |         |   ||||      |         |")
}

pub fn graph_header(f: &mut dyn fmt::Write) -> fmt::Result {
    writeln!(f, "# tracer: function_graph")?;
    writeln!(f, "#")?;
    writeln!(f, "# CPU  DURATION                  FUNCTION CALLS")?;
    writeln!(f, "# |     |   |                     |   |   |   |")
}

/// One record. `next` is the one behind it: a call that called nothing takes one
/// line.
pub fn line(
    f: &mut dyn fmt::Write,
    (context, event): &(Context, Event),
    next: Option<&(Context, Event)>,
) -> fmt::Result {
    let path = |address| PathAt {
        address,
        time: context.time,
    };
    match *event {
        Event::Call { ip, parent } => {
            let now = time::duration(context.time);
            writeln!(
                f,
                "{:>16}      [{:03}] {}.{}. {:5}.{:06}: {} <-{}",
                task(context.thread),
                context.cpu,
                if context.interrupts_off { 'd' } else { '.' },
                if context.in_interrupt { 'h' } else { '.' },
                now.as_secs(),
                now.subsec_micros(),
                path(ip - 8),
                path(parent.wrapping_sub(4)),
            )
        }
        Event::Enter { ip, depth } => {
            let indent = 2 * depth as usize;
            match next {
                Some((
                    _,
                    Event::Return {
                        ip: same,
                        depth: at,
                        ticks,
                    },
                )) if (*same, *at) == (ip, depth) => {
                    duration(f, context.cpu, *ticks)?;
                    writeln!(f, "{:indent$}{}();", "", path(ip - 8))
                }
                _ => writeln!(
                    f,
                    "{:>2})               |  {:indent$}{}() {{",
                    context.cpu,
                    "",
                    path(ip - 8)
                ),
            }
        }
        Event::Return { depth, ticks, .. } => {
            let indent = 2 * depth as usize;
            duration(f, context.cpu, ticks)?;
            writeln!(f, "{:indent$}}}", "")
        }
    }
}

/// Another thread's calls follow, with their own nesting. The number is that of the CPU
/// they are made on.
pub fn thread_switch(f: &mut dyn fmt::Write, from: &Context, to: &Context) -> fmt::Result {
    const RULE: &str = " ------------------------------------------";
    let (cpu, from, to) = (to.cpu, task(from.thread), task(to.thread));
    writeln!(f, "{RULE}\n{cpu:>2}) {from:>16}  =>  {to}\n{RULE}")
}

fn duration(f: &mut dyn fmt::Write, cpu: u32, ticks: u64) -> fmt::Result {
    let nanos = time::duration(ticks).as_nanos();
    let mark = match nanos {
        0..10_000 => ' ',
        10_000..100_000 => '+',
        _ => '!',
    };
    write!(
        f,
        "{cpu:>2}) {mark} {:>3}.{:03} us  |  ",
        nanos / 1000,
        nanos % 1000
    )
}

/// Whether `this` is the return of the call that `previous` enters: one line shows both.
pub fn is_folded(previous: Option<&(Context, Event)>, this: &(Context, Event)) -> bool {
    match (previous, this) {
        (
            Some((_, Event::Enter { ip, depth })),
            (
                _,
                Event::Return {
                    ip: same,
                    depth: at,
                    ..
                },
            ),
        ) => (ip, depth) == (same, at),
        _ => false,
    }
}

/// The function profile.
pub fn profile(f: &mut dyn fmt::Write, ranking: &[(ftrace::Site, u64)]) -> fmt::Result {
    writeln!(f, "  Function                                          Hit")?;
    writeln!(f, "  --------                                          ---")?;
    for (site, hits) in ranking {
        let path = alloc::format!("{}", site.path());
        writeln!(f, "  {path:<46} {hits:>6}")?;
    }
    Ok(())
}

/// What became of a CPU's records, by the names that Linux gives the counts. The ring loses the
/// newest when it is full.
pub fn stats(f: &mut dyn fmt::Write, counts: Counts) -> fmt::Result {
    writeln!(f, "entries: {}", counts.unread)?;
    writeln!(f, "dropped events: {}", counts.dropped)?;
    writeln!(f, "read events: {}", counts.written - counts.unread)
}

/// What could not be recorded, where anything was lost.
pub fn losses(f: &mut dyn fmt::Write, dropped: u64) -> fmt::Result {
    if dropped > 0 {
        writeln!(f, "# {dropped} events dropped: the buffer was full")?;
    }
    if graph::missed() > 0 {
        writeln!(f, "# {} calls were too deep to be hooked", graph::missed())?;
    }
    Ok(())
}
