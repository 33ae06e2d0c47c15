//! Threads that call what is being replaced, and how they know what is right.
//!
//! The soak starts and ends them by the million (`mode=soak`); in the monitor, role `soak` is one
//! of them, and `call judged` says what they have found.

pub mod functions;

use crate::{
    instruments::sanitiser::{SanitisedCall, kernel_toc},
    random::Random,
    targets as common,
};
use alloc::{format, string::String, sync::Arc};
use core::{
    ffi::c_long,
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use functions::{FUNCTIONS, LEVELS, MARK};
use machine::sync::IrqLock;
use shell::{Callable, answer, workload::Role};
use thread::Handle;

/// Versions that a function can have: the original and one of each patch.
pub const VERSIONS: usize = 3;

/// Calls, by function and by the version that has answered.
pub type Calls = [[u64; VERSIONS]; FUNCTIONS];

/// The first mistake that a thread has found.
static MISTAKE: IrqLock<Option<String>> = IrqLock::new(None);
/// Set with it, to be looked at without a lock.
static MISTAKEN: AtomicBool = AtomicBool::new(false);

/// Whether threads sleep now and then. Threads that never do keep all CPUs busy; where those are more
/// than the host has, every wait for all of them takes some of the host's time slices, and there are ten
/// such waits in and out.
static CALM: AtomicBool = AtomicBool::new(false);

/// After how many rounds on average a calm thread sleeps: so early that all threads together need a
/// fraction of a CPU, and a wait finds most CPUs idle.
const BURST: u64 = 4;

/// For how long at most it sleeps.
const LONGEST_SLEEP: Duration = Duration::from_millis(192);

/// Lets threads sleep now and then, or not at all.
pub fn be_calm(calm: bool) {
    CALM.store(calm, Ordering::Relaxed);
}

/// What was wrong, if anything was.
pub fn mistake() -> Option<String> {
    if MISTAKEN.load(Ordering::Relaxed) {
        MISTAKE.lock().clone()
    } else {
        None
    }
}

#[cold]
#[inline(never)]
fn mistaken(what: &str) {
    let what = format!("{}: {what}", thread::current().name());
    MISTAKE.lock().get_or_insert(what);
    MISTAKEN.store(true, Ordering::Relaxed);
}

/// A thread's own counts, which it alone writes to.
#[derive(Debug, Default)]
struct Counts {
    calls: [[AtomicU64; VERSIONS]; FUNCTIONS],
    rounds: AtomicU64,
    stop: AtomicBool,
}

/// A thread under load.
#[derive(Debug)]
pub struct Worker {
    handle: Handle,
    counts: Arc<Counts>,
}

impl Worker {
    /// Starts one. It inherits its maker's patch state.
    pub fn start(seed: u64) -> Result<Self, String> {
        let counts = Arc::new(Counts::default());
        let own = counts.clone();
        let body = move || work(seed, &own, || !own.stop.load(Ordering::Relaxed));
        let handle = thread::spawn("soak", body);
        let handle = handle.map_err(|error| format!("{error}"))?;
        Ok(Self { handle, counts })
    }

    /// Waits for its end, and adds what it has counted to `calls` and `rounds`.
    pub fn stop(self, calls: &mut Calls, rounds: &mut u64) -> Result<(), String> {
        self.counts.stop.store(true, Ordering::Relaxed);
        self.handle.join().map_err(|error| format!("{error}"))?;
        for (all, own) in calls
            .iter_mut()
            .flatten()
            .zip(self.counts.calls.iter().flatten())
        {
            *all += own.load(Ordering::Relaxed);
        }
        *rounds += self.counts.rounds.load(Ordering::Relaxed);
        Ok(())
    }
}

fn work(seed: u64, counts: &Counts, goes_on: impl Fn() -> bool) {
    let mut random = Random(seed);
    while goes_on() {
        thread::safe_point();
        if let Err(what) = round(&mut random, counts) {
            mistaken(&what);
            return;
        }
        counts
            .rounds
            .store(counts.rounds.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        if CALM.load(Ordering::Relaxed) && random.number().is_multiple_of(BURST) {
            let longest = LONGEST_SLEEP.as_micros() as u64;
            thread::sleep(Duration::from_micros(random.number() % longest));
        } else {
            thread::yield_now();
        }
    }
}

/// What a round has seen so far.
struct Seen<'a> {
    counts: &'a Counts,
    /// The version of what `soak` alone replaces, and of what both replace.
    versions: [Option<usize>; 2],
}

impl Seen<'_> {
    /// Notes what a call of a function has returned, where the original returns
    /// `original`.
    fn note(&mut self, function: usize, found: u64, original: u64) -> Result<(), String> {
        let name = functions::NAMES[function];
        let version = (found.wrapping_sub(original) / MARK) as usize;
        if version >= VERSIONS || found != original + version as u64 * MARK {
            return Err(format!(
                "`{name}` has returned {found} instead of {original}"
            ));
        }
        let count = &self.counts.calls[function][version];
        // No other thread writes to it.
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let group = usize::from(matches!(name, "pointer" | "sum12"));
        match self.versions[group].replace(version) {
            Some(before) if before != version => Err(format!(
                "`{name}` was version {version} in a round that had begun with {before}"
            )),
            _ => self.may_be_mixed(),
        }
    }

    /// `soak2` replaces two of `soak`'s functions, the rest goes with `soak`.
    fn may_be_mixed(&self) -> Result<(), String> {
        match self.versions {
            [Some(some), Some(both)] if both != 2 && both != some => Err(format!(
                "a patch in part: version {some} of some functions, {both} of others"
            )),
            _ => Ok(()),
        }
    }
}

/// Calls some of the functions in one go, between two safe points: whatever happens
/// meanwhile, they must be all old or all new.
fn round(random: &mut Random, counts: &Counts) -> Result<(), String> {
    let mut seen = Seen {
        counts,
        versions: [None; 2],
    };
    let bits = random.number();
    let value = bits >> 56;
    for step in 0..3 {
        match bits >> (8 * step) & 7 {
            0 => seen.note(0, functions::direct(value), value * 3)?,
            1 => {
                let pointer: extern "C" fn(u64) -> u64 = black_box(functions::pointer);
                seen.note(1, pointer(value), value * 5)?;
            }
            2 => {
                let depth = LEVELS - 1;
                seen.note(2, functions::recursive(depth), (2 << depth) - 1)?;
            }
            3 => {
                let found = common::sum12(1, 2, 3, value, 5, 6, 7, 8, 9, value, 11, 12);
                seen.note(3, found, 650 - 16 - 100 + 14 * value)?;
            }
            4 => seen.note(4, common::c_leaf(value as c_long) as u64, value * 3 + 1)?,
            // By a tail call.
            5 => seen.note(4, common::c_tail(value as c_long) as u64, value * 3 + 4)?,
            6 => seen.note(
                5,
                common::c_into_rust(value as c_long) as u64,
                value * 2 + 1,
            )?,
            _ => seen.note(
                0,
                kept(functions::direct, bits & 0xff_ffff)?,
                (bits & 0xff_ffff) * 3,
            )?,
        }
    }
    // Last, because a thread may switch to `soak2` inside it.
    match bits >> 32 & 63 {
        0 => seen.note(6, functions::slow(value), value * 11)?,
        1 => seen.note(
            6,
            kept(functions::slow, bits & 0xff_ffff)?,
            (bits & 0xff_ffff) * 11,
        )?,
        _ => {}
    }
    Ok(())
}

/// Calls a function with everything that it has to keep under watch.
fn kept(function: extern "C" fn(u64) -> u64, argument: u64) -> Result<u64, String> {
    let call = SanitisedCall::local(function as usize as u64, kernel_toc(), &[argument]);
    // SAFETY: a function of the kernel with one argument.
    let results = unsafe { call.with_pattern(argument).make_checked() };
    results.map(|[result, _]| result)
}

/// What threads of the workload do here.
pub static ROLES: &[Role] = &[Role {
    name: "soak",
    about: "calls what patch `soak` replaces in every way there is, and sees that each answer is right",
    body: |post| {
        be_calm(true);
        functions::keep();
        let counts = Counts::default();
        // Unlike that of any other thread, and not 0.
        let seed = u64::from(thread::current().id()) << 1 | 1;
        work(seed, &counts, || post.goes_on());
        for (all, own) in ENDED.iter().flatten().zip(counts.calls.iter().flatten()) {
            all.fetch_add(own.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    },
}];

/// Calls of the workload's threads that have ended.
static ENDED: [[AtomicU64; VERSIONS]; FUNCTIONS] =
    [const { [const { AtomicU64::new(0) }; VERSIONS] }; FUNCTIONS];

/// How the shell's `call` calls what is here.
pub static CALLABLES: &[Callable] = &[Callable {
    name: "judged",
    family: "lab::soak",
    about: "what threads in role `soak` have called until they ended, and whether all was right",
    arguments: &[],
    run: |_| match judged() {
        Ok([all, patched]) => {
            answer!("{all} calls, {patched} of them patched, all right, none lost")
        }
        Err(what) => {
            println!("soak: {what}");
            answer!("wrong")
        }
    },
}];

/// How many calls the workload's threads have made, and how many of them replacement functions
/// have answered, if each answer was right and the originals have counted as many as they should.
fn judged() -> Result<[u64; 2], String> {
    if let Some(what) = mistake() {
        return Err(what);
    }
    let ended = |function: usize, version: usize| ENDED[function][version].load(Ordering::Relaxed);
    for function in functions::OWN {
        let expected = functions::called(function, |function| ended(function, 0));
        let counted = functions::counted(function).unwrap_or(expected);
        if counted != expected {
            let name = functions::NAMES[function];
            return Err(format!(
                "`{name}` has counted {counted} calls, the threads {expected}"
            ));
        }
    }
    let all = |first: usize| {
        let calls = ENDED.iter().flat_map(|versions| &versions[first..]);
        calls.map(|calls| calls.load(Ordering::Relaxed)).sum()
    };
    Ok([all(0), all(1)])
}
