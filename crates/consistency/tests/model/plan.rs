//! What a simulation is made of: functions, patches, and the steps to take.

use consistency::{Code, Function, PatchId};
use proptest::prelude::*;

/// How many functions there are.
pub const FUNCTIONS: usize = 5;
/// The first function that is in a module, as are all after it.
pub const MODULE: usize = 3;
/// How many patches there are.
pub const PATCHES: usize = 4;
/// Bytes of code of each function.
pub const SIZE: u64 = 0x10;

/// The original code of a function.
pub const fn original(function: usize) -> Code {
    0x1000 + function as u64 * SIZE
}

/// A patch, as its author wrote it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whether it takes the place of all others.
    pub replace: bool,
    /// What it puts in each function's place.
    pub new: [Option<Code>; FUNCTIONS],
}

impl Plan {
    /// Those of its functions that `wanted` picks.
    pub fn functions(&self, wanted: impl Fn(usize) -> bool) -> Vec<Function> {
        let new = |function: usize| self.new[function];
        let wanted = (0..FUNCTIONS).filter(|&function| wanted(function));
        let wanted = wanted.filter_map(|function| {
            let old = original(function);
            new(function).map(|new| Function { old, new })
        });
        wanted.collect()
    }

    /// Whether that code is part of the patch.
    pub fn holds(&self, code: Code) -> bool {
        self.new.contains(&Some(code))
    }
}

/// A patch's name in the model.
pub const fn id(patch: usize) -> PatchId {
    PatchId(patch as u32)
}

/// What happens next. What can't happen at that moment doesn't. Threads are
/// counted round.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A running thread calls a function. Its frame may be one that no stack walk
    /// gets past.
    Call {
        thread: usize,
        function: usize,
        walkable: bool,
    },
    /// A running thread returns from the innermost function.
    Return(usize),
    /// A running thread goes to sleep, of its own will.
    Sleep(usize),
    /// A running thread is interrupted anywhere.
    Preempt(usize),
    /// A thread that does not run does so again.
    Wake(usize),
    /// A running thread that is in no function says so.
    SafePoint(usize),
    /// A thread does what it has to do to the end, and then the same.
    Finish(usize),
    /// A running thread starts another.
    Spawn(usize),
    /// A running thread that is in no function ends, if it is not the last.
    Exit(usize),
    /// The driver looks at the stacks of all threads.
    Retry,
    Enable(usize),
    Disable(usize),
    Reverse,
    Force,
    /// The module arrives; patches learn of it in some order.
    Arrive {
        rotate: usize,
        backwards: bool,
    },
    /// The module goes, if no thread is in it.
    Leave,
}

/// Mostly code of its own, sometimes code that other functions and patches use.
fn any_new(patch: usize, function: usize) -> impl Strategy<Value = Option<Code>> {
    let own = 0x2000 + (patch * FUNCTIONS + function) as u64 * SIZE;
    prop_oneof![
        2 => Just(None),
        5 => Just(Some(own)),
        1 => (0..3u64).prop_map(|code| Some(0x8000 + code * SIZE)),
    ]
}

fn any_plan(patch: usize) -> impl Strategy<Value = Plan> {
    let new: [_; FUNCTIONS] = core::array::from_fn(|function| any_new(patch, function));
    (prop::bool::weighted(0.35), new).prop_map(|(replace, new)| Plan { replace, new })
}

/// All patches of a simulation.
pub fn any_plans() -> impl Strategy<Value = [Plan; PATCHES]> {
    core::array::from_fn(any_plan)
}

/// Each kind of step, its weight among the others, and how it is made from
/// a number below 800.
type Kind = (usize, fn(usize) -> Step);

const KINDS: [Kind; 15] = [
    (24, |n| Step::Call {
        thread: n % 8,
        function: n / 8 % FUNCTIONS,
        walkable: n / 40 > 0,
    }),
    (12, Step::Return),
    (12, Step::Sleep),
    (2, Step::Preempt),
    (10, Step::Wake),
    (5, Step::SafePoint),
    (5, Step::Finish),
    (1, Step::Spawn),
    (1, Step::Exit),
    (14, |_| Step::Retry),
    (7, |n| Step::Enable(n % PATCHES)),
    (6, |n| Step::Disable(n % PATCHES)),
    (1, |_| Step::Reverse),
    (2, |n| Step::Arrive {
        rotate: n % PATCHES,
        backwards: n / PATCHES % 2 == 1,
    }),
    (1, |_| Step::Leave),
];

/// A simulation's steps.
pub fn any_steps(with_force: bool) -> impl Strategy<Value = Vec<Step>> {
    let force: Kind = (2, |_| Step::Force);
    let kinds = KINDS.into_iter().chain(with_force.then_some(force));
    // One list to pick from is many times faster here than a union of strategies.
    let weighted = kinds.flat_map(|(weight, kind)| core::iter::repeat_n(kind, weight));
    let kind = prop::sample::select(weighted.collect::<Vec<_>>());
    let step = (kind, 0..800usize).prop_map(|(kind, number)| kind(number));
    prop::collection::vec(step, 0..200)
}
