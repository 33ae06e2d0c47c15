//! The transitions, a lane a thread.

use super::text::{count, percent, time};
use crate::report::scale::{Piece, Scale};
use crate::report::transitions::{Blocked, Demonstration, Lane, Switch, Transition};
use maud::{Markup, html};

/// A piece of the axis that is narrower than this, in percent, has no label.
const LABELLED: f64 = 6.0;

/// The label of one that is narrower than this stands upright where there is less room.
const TIGHT: f64 = 22.0;

/// What the kernel calls the ways of switching, what they are, and their marks.
const WAYS: [(&str, &str, &str); 4] = [
    ("safe_point", "at a safe point", "M6 1a5 5 0 1 0 .01 0z"),
    (
        "asleep",
        "asleep, with a clean stack",
        "M6 .2 11.8 6 6 11.8 .2 6z",
    ),
    ("itself", "looking at its own stack", "M1.5 1.5h9v9h-9z"),
    ("forced", "by force", "M6 .8 11.6 11H.4z"),
];

/// All transitions, after what the signs mean.
pub fn section(demonstration: &Demonstration) -> Markup {
    let hz = demonstration.machine.timebase_hz;
    html! {
        p {
            "While a transition runs, a thread is on the old side or on the new one, and changes when nothing "
            "that is being left is on its stack. A lane is a thread. Time goes from left to right, from the "
            "transition’s start to its end, and a nanosecond is an instruction on this machine while it is busy. "
            "Bursts are drawn to one scale; longer waits are cut, and the axis says how long they were. "
            "Transitions are numbered from boot on, rehearsals included."
        }
        (legend(demonstration.transitions.iter().any(|one| !one.turns.is_empty())))
        @for transition in &demonstration.transitions {
            (one(transition, demonstration.machine.cpus > 1, hz))
        }
    }
}

fn legend(with_turns: bool) -> Markup {
    html! {
        ul.legend aria-label="What the signs mean" {
            li { span.key.old {} "on the old side" }
            li { span.key.old.blocked {} "blocked: seen inside what is being left" }
            li { span.key.new {} "on the new side" }
            @for (how, words, _) in &WAYS {
                li { (mark(how)) "switched " (words) }
            }
            li { span.key.cut {} "a wait, cut" }
            @if with_turns {
                li { span.key.turned {} "↶ the transition is turned round" }
            }
        }
    }
}

/// The sign of a way of switching.
fn mark(how: &str) -> Markup {
    let way = WAYS.iter().find(|(name, ..)| *name == how);
    // An unknown way has a cross.
    let path = way.map_or("M1 1 11 11M11 1 1 11", |(_, _, path)| path);
    html! {
        svg.mark viewBox="0 0 12 12" aria-hidden="true" focusable="false" { path d=(path); }
    }
}

fn words(how: &str) -> &str {
    let way = WAYS.iter().find(|(name, ..)| *name == how);
    way.map_or(how, |(_, words, _)| words)
}

fn one(transition: &Transition, several: bool, hz: u64) -> Markup {
    let times = transition.lanes.iter().flat_map(|lane| {
        let switches = lane.switches.iter().map(|switch| switch.time);
        switches.chain(lane.blocked.iter().map(|blocked| blocked.from))
    });
    let turns = transition.turns.iter().copied();
    let scale = Scale::new(times.chain(turns).chain([transition.end]));
    let title = format!("transition-{}", transition.number);
    html! {
        section.transition aria-labelledby=(title) data-transition=(transition.number) {
            h3 id=(title) {
                "Transition " (transition.number) ": " code { (transition.patch) } " "
                (if transition.direction == "disable" { "goes" } else { "comes" })
                @if !transition.turns.is_empty() { ", and is turned round" }
            }
            p.said { (said(transition, hz)) }
            table.lanes role="table" aria-labelledby=(title) {
                thead role="rowgroup" {
                    tr role="row" {
                        th role="columnheader" scope="col" { "Thread" }
                        th.time role="columnheader" scope="col" {
                            span.hidden { "Sides, in the order of time" }
                            (axis(&scale, transition, hz))
                        }
                        th role="columnheader" scope="col" { "Switch, and what blocked it" }
                    }
                }
                tbody role="rowgroup" {
                    @for lane in &transition.lanes {
                        (row(lane, transition, &scale, several, hz))
                    }
                }
            }
        }
    }
}

/// The transition in sentences.
fn said(transition: &Transition, hz: u64) -> String {
    let switches = || transition.lanes.iter().flat_map(|lane| &lane.switches);
    let over = switches().filter(|switch| !switch.back).count();
    let back = switches().filter(|switch| switch.back).count();
    let all = transition.lanes.len();
    let mut said = format!("{over} of {} switched. ", count(all, "thread", "threads"));
    for turn in &transition.turns {
        said += &format!("After {} it was turned round. ", time(*turn, hz));
    }
    if back > 0 {
        said += &format!("{back} went back. ");
    }
    let state = if transition.enabled {
        "enabled"
    } else {
        "disabled"
    };
    said += &format!(
        "After {} it had ended, and the patch was {state}.",
        time(transition.end, hz)
    );
    said
}

/// How long each piece of time is.
fn axis(scale: &Scale, transition: &Transition, hz: u64) -> Markup {
    let place = |piece: &Piece| {
        let width = percent(piece.right - piece.left);
        format!("left:{};width:{width}", percent(piece.left))
    };
    html! {
        div.axis.turned[!transition.turns.is_empty()] aria-hidden="true" {
            @for piece in scale.pieces() {
                @let width = piece.right - piece.left;
                span.piece.cut[piece.cut].tight[width < TIGHT] style=(place(piece)) {
                    @if width >= LABELLED {
                        span { (time(piece.to - piece.from, hz)) }
                    }
                }
            }
            @for turn in &transition.turns {
                span.turn-label style={"left:" (percent(scale.at(*turn)))} { "↶" }
            }
        }
    }
}

/// A stretch on one side.
struct Stretch {
    from: u64,
    to: u64,
    new: bool,
}

fn stretches(lane: &Lane, end: u64) -> Vec<Stretch> {
    let mut list = Vec::new();
    let (mut from, mut new) = (0, false);
    for switch in &lane.switches {
        let to = switch.time;
        list.push(Stretch { from, to, new });
        (from, new) = (to, !switch.back);
    }
    list.push(Stretch { from, to: end, new });
    list
}

/// `several`: the machine has several CPUs, so it matters where a thread was.
fn row(lane: &Lane, transition: &Transition, scale: &Scale, several: bool, hz: u64) -> Markup {
    let sides = stretches(lane, transition.end);
    let place = |from: u64, to: u64| {
        let width = percent(scale.at(to) - scale.at(from));
        format!("left:{};width:{width}", percent(scale.at(from)))
    };
    let at = |time: u64| format!("left:{}", percent(scale.at(time)));
    let cuts = scale.pieces().iter().filter(|piece| piece.cut);
    html! {
        tr role="row" data-thread=(lane.thread) {
            th role="rowheader" scope="row" { (lane.name) }
            td.time role="cell" {
                span.hidden { (sides_said(&sides, hz)) }
                div.lane aria-hidden="true" {
                    @for side in &sides {
                        span.side.new[side.new].old[!side.new] style=(place(side.from, side.to)) {}
                    }
                    @for blocked in &lane.blocked {
                        span.side.old.blocked style=(place(blocked.from, blocked.to)) {}
                    }
                    @for cut in cuts {
                        span.break style={"left:" (percent((cut.left + cut.right) / 2.0))} {}
                    }
                    @for turn in &transition.turns {
                        span.turn style=(at(*turn)) {}
                    }
                    @for switch in &lane.switches {
                        span.switch data-thread=(lane.thread) data-how=(switch.how)
                            data-ticks=(switch.time) style=(at(switch.time)) { (mark(&switch.how)) }
                    }
                }
            }
            td.what role="cell" {
                @for blocked in &lane.blocked { (blocked_said(blocked, hz)) }
                @for switch in &lane.switches {
                    (switch_said(switch, several.then_some(switch.cpu), hz))
                }
                @if lane.switches.is_empty() { span { "stayed where it was" } }
            }
        }
    }
}

fn sides_said(sides: &[Stretch], hz: u64) -> String {
    let last = sides.len() - 1;
    let said = sides.iter().enumerate().map(|(index, side)| {
        let name = if side.new { "new side" } else { "old side" };
        if index == last {
            format!("{name} to the end")
        } else {
            format!("{name} until {}", time(side.to, hz))
        }
    });
    said.collect::<Vec<_>>().join(", ")
}

fn blocked_said(blocked: &Blocked, hz: u64) -> Markup {
    let from = time(blocked.from, hz);
    html! {
        span.held data-function=(blocked.function) data-ticks=(blocked.from) {
            "from " (from) " blocked: "
            @if blocked.function.is_empty() {
                (blocked.reason)
            } @else {
                "in " code { (broken(&blocked.function)) }
            }
        }
    }
}

/// A path that may be broken between its names.
fn broken(path: &str) -> Markup {
    html! {
        @for (index, name) in path.split("::").enumerate() {
            @if index > 0 { "::" wbr; }
            (name)
        }
    }
}

fn switch_said(switch: &Switch, cpu: Option<u32>, hz: u64) -> Markup {
    html! {
        span.went data-how=(switch.how) data-ticks=(switch.time) {
            (if switch.back { "back" } else { "over" }) " after "
            b { (time(switch.time, hz)) } ", " (words(&switch.how))
            @if let Some(cpu) = cpu { ", on CPU " (cpu) }
        }
    }
}
