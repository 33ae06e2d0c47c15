//! Requests, synchronisations and calls: `kernel/machine/src/cpus.rs`.

use loom::{
    cell::UnsafeCell,
    model,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread,
};
use std::array;

const SYNCHRONISE: u32 = 1 << 1;
const CALL: u32 = 1 << 3;

/// The orderings, each by the function that has it.
#[derive(Clone, Copy)]
pub struct Orders {
    ask: Ordering,
    take: Ordering,
    begin: Ordering,
    load_round: Ordering,
    take_part: Ordering,
    wait: Ordering,
    now: Ordering,
}

/// As in the kernel.
pub const KERNEL: Orders = Orders {
    ask: Ordering::Release,
    take: Ordering::Acquire,
    begin: Ordering::AcqRel,
    load_round: Ordering::Acquire,
    take_part: Ordering::Release,
    wait: Ordering::Acquire,
    now: Ordering::Release,
};

#[derive(Debug)]
struct Cpu {
    requests: AtomicU32,
    synchronised: AtomicU64,
}

/// What CPUs ask of each other.
pub struct Cpus<const N: usize> {
    round: AtomicU64,
    cpus: [Cpu; N],
    orders: Orders,
}

impl<const N: usize> Cpus<N> {
    pub fn new(orders: Orders) -> Self {
        let cpu = |_| Cpu {
            requests: AtomicU32::new(0),
            synchronised: AtomicU64::new(0),
        };
        Self {
            round: AtomicU64::new(0),
            cpus: array::from_fn(cpu),
            orders,
        }
    }

    fn ask(&self, cpu: usize, request: u32) {
        self.cpus[cpu].requests.fetch_or(request, self.orders.ask);
    }

    /// An interrupt on this CPU, if one waits. `call` is what another may want called.
    pub fn take_requests(&self, cpu: usize, call: impl FnOnce()) {
        let requests = self.cpus[cpu].requests.swap(0, self.orders.take);
        if requests & SYNCHRONISE != 0 {
            self.take_part(cpu, self.round.load(self.orders.load_round));
        }
        if requests & CALL != 0 {
            call();
        }
    }

    fn take_part(&self, cpu: usize, round: u64) {
        (self.cpus[cpu].synchronised).fetch_max(round, self.orders.take_part);
    }

    /// `now`, as a number of rounds.
    fn now(&self) -> u64 {
        self.round.fetch_add(0, self.orders.now)
    }

    /// `synchronise_since` up to the wait.
    pub fn begin(&self, own: usize) -> u64 {
        let round = self.round.fetch_add(1, self.orders.begin) + 1;
        self.take_part(own, round);
        for cpu in (0..N).filter(|&cpu| cpu != own) {
            self.ask(cpu, SYNCHRONISE);
        }
        round
    }

    /// One look of the wait, at one CPU.
    pub fn has_passed(&self, cpu: usize, round: u64) -> bool {
        self.cpus[cpu].synchronised.load(self.orders.wait) >= round
    }

    /// `synchronise`, with one look at a CPU: false if it has to go on waiting.
    pub fn synchronise(&self, own: usize, other: usize) -> bool {
        let round = self.begin(own);
        self.has_passed(other, round)
    }

    /// The last round that a CPU has taken part in, as itself sees it.
    pub fn synchronised(&self, own: usize) -> u64 {
        self.cpus[own].synchronised.load(Ordering::Relaxed)
    }

    /// Asks another CPU for a call.
    pub fn ask_for_call(&self, cpu: usize) {
        self.ask(cpu, CALL);
    }
}

/// Something that is replaced: which one holds is a number, and the first is freed when no CPU
/// can use it.
struct Replaced {
    number: AtomicU64,
    first: UnsafeCell<()>,
}

impl Replaced {
    fn new() -> Self {
        Self {
            number: AtomicU64::new(0),
            first: UnsafeCell::new(()),
        }
    }

    /// A section that keeps interrupts off.
    fn use_it(&self) {
        if self.number.load(Ordering::Relaxed) == 0 {
            self.first.with(|_| ());
        }
    }

    fn replace(&self) {
        self.number.store(1, Ordering::Relaxed);
    }

    fn free(&self) {
        self.first.with_mut(|_| ());
    }
}

/// One CPU replaces and frees, the other uses.
fn grace_period(orders: Orders, waits: bool) {
    model(move || {
        let cpus = Arc::new((Cpus::<2>::new(orders), Replaced::new()));
        let user = cpus.clone();
        let user = thread::spawn(move || {
            let (cpus, replaced) = &*user;
            for _ in 0..2 {
                replaced.use_it();
                cpus.take_requests(1, || ());
            }
            replaced.use_it();
        });
        let (cpus, replaced) = &*cpus;
        replaced.replace();
        if cpus.synchronise(0, 1) || !waits {
            replaced.free();
        }
        user.join().unwrap();
    });
}

#[test]
fn what_is_replaced_is_freed_after_the_last_use() {
    grace_period(KERNEL, true);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_freed_without_the_wait() {
    grace_period(KERNEL, false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_takes_part_relaxed() {
    let take_part = Ordering::Relaxed;
    grace_period(
        Orders {
            take_part,
            ..KERNEL
        },
        true,
    );
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_waits_relaxed() {
    let wait = Ordering::Relaxed;
    grace_period(Orders { wait, ..KERNEL }, true);
}

/// The first CPU replaces and does what `act` says, while the second begins a round and the third takes
/// requests and uses. `after` looks at what has become of it.
fn beside_a_round(
    orders: Orders,
    act: impl Fn(&Cpus<3>, &Replaced) + Send + Sync + 'static,
    after: fn(&Cpus<3>),
) {
    model(move || {
        let all = Arc::new((Cpus::<3>::new(orders), Replaced::new()));
        let [user, other] = [all.clone(), all.clone()];
        let user = thread::spawn(move || {
            let (cpus, replaced) = &*user;
            cpus.take_requests(2, || ());
            replaced.use_it();
        });
        let other = thread::spawn(move || {
            other.0.begin(1);
        });
        let (cpus, replaced) = &*all;
        replaced.replace();
        act(cpus, replaced);
        user.join().unwrap();
        other.join().unwrap();
        after(cpus);
    });
}

/// Two CPUs synchronise at once, and a third takes part in both rounds when the first has asked.
fn two_rounds(orders: Orders) {
    let synchronise = |cpus: &Cpus<3>, replaced: &Replaced| {
        let round = cpus.begin(0);
        if cpus.has_passed(2, round) {
            replaced.free();
        }
    };
    beside_a_round(orders, synchronise, |cpus| {
        // All that was asked for is taken, or is still to be.
        cpus.take_requests(2, || ());
        let rounds = cpus.round.load(Ordering::Relaxed);
        assert!(cpus.has_passed(2, rounds), "a CPU waits for ever");
    });
}

#[test]
fn one_look_takes_part_in_all_rounds() {
    two_rounds(KERNEL);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_loads_the_round_relaxed() {
    let load_round = Ordering::Relaxed;
    two_rounds(Orders {
        load_round,
        ..KERNEL
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_begins_a_round_without_release() {
    let begin = Ordering::Acquire;
    two_rounds(Orders { begin, ..KERNEL });
}

#[test]
#[should_panic(expected = "a CPU waits for ever")]
fn control_asks_relaxed() {
    let ask = Ordering::Relaxed;
    two_rounds(Orders { ask, ..KERNEL });
}

#[test]
#[should_panic(expected = "a CPU waits for ever")]
fn control_takes_requests_relaxed() {
    let take = Ordering::Relaxed;
    two_rounds(Orders { take, ..KERNEL });
}

/// A CPU that begins a round of its own takes part in the earlier ones by that.
fn own_round(orders: Orders) {
    model(move || {
        let all = Arc::new((Cpus::<2>::new(orders), Replaced::new()));
        let user = all.clone();
        let user = thread::spawn(move || {
            let (cpus, replaced) = &*user;
            replaced.use_it();
            cpus.begin(1);
            replaced.use_it();
        });
        let (cpus, replaced) = &*all;
        replaced.replace();
        if cpus.synchronise(0, 1) {
            replaced.free();
        }
        user.join().unwrap();
    });
}

#[test]
fn a_round_of_ones_own_takes_part_in_earlier_ones() {
    own_round(KERNEL);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_begins_a_round_without_acquire() {
    let begin = Ordering::Release;
    own_round(Orders { begin, ..KERNEL });
}

/// A CPU relies on a round that another has begun.
fn round_of_another(orders: Orders, now: fn(&Cpus<3>) -> u64) {
    let rely = move |cpus: &Cpus<3>, replaced: &Replaced| {
        let since = now(cpus);
        if (1..3).all(|cpu| cpus.has_passed(cpu, since + 1)) {
            replaced.free();
        }
    };
    beside_a_round(orders, rely, |_| ());
}

#[test]
fn a_round_that_another_has_begun_since_is_enough() {
    round_of_another(KERNEL, Cpus::now);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_takes_the_moment_by_a_load() {
    round_of_another(KERNEL, |cpus| cpus.round.load(Ordering::Acquire));
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_takes_the_moment_relaxed() {
    let now = Ordering::Relaxed;
    round_of_another(Orders { now, ..KERNEL }, Cpus::now);
}

/// How `call_on_others` may be wrong.
#[derive(Clone, Copy, PartialEq)]
enum Call {
    Kernel,
    AsksFirst,
    DoneRelaxed,
}

/// A function that another CPU calls writes what the one that asked reads.
fn call_on_others(variant: Call) {
    model(move || {
        let cpus = Arc::new(Cpus::<2>::new(KERNEL));
        let state = Arc::new((
            AtomicBool::new(false),
            AtomicU32::new(1),
            UnsafeCell::new(()),
        ));
        let callee = (cpus.clone(), state.clone());
        let make_call = move || {
            let (called, remaining, written) = &*callee.1;
            callee.0.take_requests(1, || {
                assert!(called.load(Ordering::Acquire), "no call is there");
                written.with_mut(|_| ());
                let done = match variant {
                    Call::DoneRelaxed => Ordering::Relaxed,
                    _ => Ordering::Release,
                };
                remaining.fetch_sub(1, done);
            });
        };
        let callee = thread::spawn(move || {
            make_call();
            make_call();
        });
        let (called, remaining, written) = &*state;
        written.with_mut(|_| ());
        if variant == Call::AsksFirst {
            cpus.ask_for_call(1);
        }
        called.store(true, Ordering::Release);
        if variant != Call::AsksFirst {
            cpus.ask_for_call(1);
        }
        if remaining.load(Ordering::Acquire) == 0 {
            written.with(|_| ());
        }
        callee.join().unwrap();
        let asked = cpus.cpus[1].requests.load(Ordering::Relaxed) & CALL != 0;
        assert!(
            asked || remaining.load(Ordering::Relaxed) == 0,
            "a CPU waits for ever"
        );
    });
}

#[test]
fn a_call_is_made_and_what_it_wrote_is_seen() {
    call_on_others(Call::Kernel);
}

#[test]
#[should_panic(expected = "no call is there")]
fn control_asks_before_the_call_is_there() {
    call_on_others(Call::AsksFirst);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn control_says_that_the_call_is_done_relaxed() {
    call_on_others(Call::DoneRelaxed);
}
