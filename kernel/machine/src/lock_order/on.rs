//! The image of the tests: each lock that is taken is compared with those that are held.
//!
//! What is taken with interrupts off is held by the CPU, and anything else by the thread. A
//! handler has nothing to do with what the interrupted thread holds: it can't wait for a lock
//! of threads.
//!
//! Nothing here is traced: it runs while sites are written, and under tracers.

use crate::{
    arch::{self, InterruptsOff, MOST_CPUS},
    sync::Relax,
};
use arrayvec::ArrayVec;
use core::{
    panic::Location,
    ptr,
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
};
use lockorder::{CLASSES, NAMED, OutOfOrder, Pairs};
use spin::mutex::SpinMutex;

type Place = &'static Location<'static>;

/// The class of a lock.
#[derive(Debug)]
pub struct Class {
    name: Option<&'static str>,
    /// Where the lock is made.
    place: Place,
    /// [`UNKNOWN`] until the lock is taken.
    number: AtomicU8,
}

const UNKNOWN: u8 = u8::MAX;

/// That a lock is held.
#[derive(Debug)]
pub struct Held<'a> {
    class: &'a Class,
    by_thread: bool,
}

/// A lock that is held, and where it was taken.
#[derive(Clone, Copy)]
struct Taken {
    /// The address of its class, which is its own.
    lock: usize,
    number: u8,
    place: Place,
    /// The thread that holds it, if it is not the CPU.
    thread: u64,
}

/// By the number of the CPU, which alone looks at its own.
static BY_CPU: [SpinMutex<ArrayVec<Taken, 16>, Relax>; MOST_CPUS] =
    [const { SpinMutex::new(ArrayVec::new_const()) }; MOST_CPUS];
static BY_THREADS: SpinMutex<ArrayVec<Taken, 64>, Relax> = SpinMutex::new(ArrayVec::new_const());
/// Where the locks without a name are made, by number from [`NAMED`] on.
static PLACES: SpinMutex<ArrayVec<Place, { CLASSES - NAMED }>, Relax> =
    SpinMutex::new(ArrayVec::new_const());
static PAIRS: Pairs = Pairs::new();
/// One report is enough: what it prints takes locks.
static IS_REPORTED: AtomicBool = AtomicBool::new(false);

impl Class {
    /// The class of this name.
    #[must_use]
    #[track_caller]
    pub const fn named(name: &'static str) -> Self {
        Self::new(Some(name), Location::caller())
    }

    /// The class of locks that are made here.
    #[must_use]
    #[track_caller]
    pub const fn of_this_place() -> Self {
        Self::new(None, Location::caller())
    }

    const fn new(name: Option<&'static str>, place: Place) -> Self {
        Self {
            name,
            place,
            number: AtomicU8::new(UNKNOWN),
        }
    }

    /// This CPU is about to take a lock that keeps interrupts off.
    #[track_caller]
    #[inline(always)]
    pub fn by_cpu(&self) -> Held<'_> {
        take(self, false, true, Location::caller())
    }

    /// The same, and it does not wait.
    #[track_caller]
    #[inline(always)]
    pub fn by_cpu_at_once(&self) -> Held<'_> {
        take(self, false, false, Location::caller())
    }

    /// The running thread is about to take a lock that it holds over waits.
    #[track_caller]
    #[inline(always)]
    pub fn by_thread(&self) -> Held<'_> {
        take(self, true, true, Location::caller())
    }

    /// This CPU opens the lock on behalf of a guard that is not there to be dropped.
    #[inline(always)]
    pub fn opened(&self) {
        open(self, false);
    }

    fn number(&self) -> u8 {
        let number = self.number.load(Ordering::Relaxed);
        if number != UNKNOWN {
            return number;
        }
        let number = self.find_number();
        self.number.store(number, Ordering::Relaxed);
        number
    }

    #[cold]
    fn find_number(&self) -> u8 {
        if let Some(name) = self.name {
            let number = lockorder::number_of(name);
            return number.unwrap_or_else(|| panic!("`{name}` has no row in `lockorder::ORDER`"));
        }
        let mut places = PLACES.lock();
        let place = places.iter().position(|one| *one == self.place);
        let place = place.unwrap_or_else(|| {
            places.push(self.place);
            places.len() - 1
        });
        (NAMED + place) as u8
    }
}

#[inline(never)]
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn take(class: &Class, by_thread: bool, waits: bool, place: Place) -> Held<'_> {
    let off = arch::interrupts_off();
    let taken = Taken {
        lock: ptr::from_ref(class).addr(),
        number: class.number(),
        place,
        thread: if by_thread { arch::current() } else { 0 },
    };
    let mut own = by_this_cpu(&off).lock();
    let mut by_threads = BY_THREADS.lock();
    let me = arch::current();
    let is_handler = arch::in_interrupt();
    let mine = by_threads
        .iter()
        .filter(|one| one.thread == me && !is_handler);
    // A handler of single steps may take a lock for threads: the tests see to it that it is open.
    let wrong = if by_thread && let Some(held) = own.first() {
        Some((*held, OutOfOrder::Sleeps))
    } else {
        // All are noted, whatever comes of the first.
        let held = own.iter().chain(mine).filter(|_| waits);
        let see = |held: &Taken| Some((*held, PAIRS.see(held.number, taken.number).err()?));
        held.filter_map(see).fold(None, |_, wrong| Some(wrong))
    };
    if by_thread {
        by_threads.push(taken);
    } else {
        own.push(taken);
    }
    drop((own, by_threads));
    if let Some((held, error)) = wrong
        && !IS_REPORTED.swap(true, Ordering::Relaxed)
    {
        report(&held, &taken, error);
    }
    Held { class, by_thread }
}

#[inline(never)]
#[patchable_function_entry(prefix_nops = 0, entry_nops = 0)]
fn open(class: &Class, by_thread: bool) {
    let off = arch::interrupts_off();
    if by_thread {
        forget(&mut BY_THREADS.lock(), class, arch::current());
    } else {
        forget(&mut by_this_cpu(&off).lock(), class, 0);
    }
}

/// This CPU is about to wait for others: it must hold no lock that keeps interrupts off.
pub fn wait_for_others() {
    let off = arch::interrupts_off();
    let first = by_this_cpu(&off).lock().first().copied();
    if let Some(held) = first
        && !IS_REPORTED.swap(true, Ordering::Relaxed)
    {
        panic!(
            "lock order: {} is held, taken at {}; this CPU is to wait for others",
            Shown(held.number),
            held.place,
        )
    }
}

fn by_this_cpu(off: &InterruptsOff) -> &'static SpinMutex<ArrayVec<Taken, 16>, Relax> {
    &BY_CPU[off.cpu().number() as usize]
}

fn forget<const N: usize>(all: &mut ArrayVec<Taken, N>, class: &Class, thread: u64) {
    let lock = ptr::from_ref(class).addr();
    // The newest first: most are opened in the other order.
    if let Some(place) = { all.iter() }.rposition(|one| one.lock == lock && one.thread == thread) {
        all.remove(place);
    }
}

impl Drop for Held<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        open(self.class, self.by_thread);
    }
}

#[cold]
fn report(held: &Taken, taken: &Taken, error: OutOfOrder) -> ! {
    let why = match error {
        OutOfOrder::Row => "it comes before, or has the same row in `lockorder::ORDER`",
        OutOfOrder::Sleeps => "that may be sleep, and interrupts are off",
        OutOfOrder::Alike => "the two are of one class",
        OutOfOrder::Cycle => "the first was taken while the second was held, or others in between",
    };
    panic!(
        "lock order: {} is held, taken at {}; {} is to be taken at {}; {why}",
        Shown(held.number),
        held.place,
        Shown(taken.number),
        taken.place,
    )
}

/// The name of a class, or the place where its locks are made.
#[derive(Clone, Copy, Debug)]
pub struct Shown(u8);

impl core::fmt::Display for Shown {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if let Some(name) = lockorder::name_of(self.0) {
            return f.write_str(name);
        }
        let place = PLACES.lock().get(usize::from(self.0) - NAMED).copied();
        match place {
            Some(place) => write!(f, "the lock of {place}"),
            None => f.write_str("an unknown lock"),
        }
    }
}

/// The pairs that were seen, the lock that was held first.
pub fn pairs() -> impl Iterator<Item = (Shown, Shown)> {
    PAIRS
        .seen()
        .map(|(held, taken)| (Shown(held), Shown(taken)))
}
