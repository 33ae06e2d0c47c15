//! The explorer's three threads: the explorer itself makes the stepped calls, its partner
//! disturbs them, and the holder blocks transitions. The main thread gives them orders
//! and waits for them.

use super::{
    calls::Watched,
    disturbance::Disturbance,
    functions, pairs,
    step::{self, Stepped},
};
use alloc::{string::String, sync::Arc};
use core::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use machine::{arch, sync::IrqLock, time};
use thread::{OutOfMemory, Thread};

/// What a thread is to do next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Call `hold`, and wait inside for the next order.
    Enter,
    /// Leave it.
    Leave,
    /// Make a stepped call; leave `hold` after it.
    Step(Option<(usize, Disturbance)>),
    /// Disturb the explorer's call.
    Disturb(Disturbance),
    /// End.
    Quit,
}

/// Where a thread gets its orders.
#[derive(Debug)]
pub struct Seat {
    order: IrqLock<Option<Order>>,
    thread: IrqLock<Option<Arc<Thread>>>,
}

impl Seat {
    const fn new() -> Self {
        Self {
            order: IrqLock::new(None),
            thread: IrqLock::new(None),
        }
    }

    /// Gives an order. Does not wait, and needs no memory.
    pub fn give(&self, order: Order) {
        *self.order.lock() = Some(order);
        if let Some(thread) = &*self.thread.lock() {
            thread.unpark();
        }
    }

    /// Waits for the next order.
    fn take(&self) -> Order {
        loop {
            if let Some(order) = self.order.lock().take() {
                return order;
            }
            thread::park();
        }
    }

    /// The stack of its thread.
    pub fn stack(&self) -> Range<u64> {
        let thread = self.thread.lock();
        (thread.as_ref()).map_or(0..0, |thread| {
            let (start, end) = thread.stack().range();
            start..end
        })
    }

    /// The patch state of its thread.
    pub fn patch_state(&self) -> u64 {
        self.thread
            .lock()
            .as_ref()
            .map_or(0, |thread| thread.patch_state())
    }
}

/// The explorer's.
pub static EXPLORER: Seat = Seat::new();
/// Its partner's.
pub static PARTNER: Seat = Seat::new();
/// The holder's.
pub static HOLDER: Seat = Seat::new();

/// The thread that waits for the three.
static WAITING: IrqLock<Option<Arc<Thread>>> = IrqLock::new(None);

/// Whether a thread is in `hold`.
static INSIDE: AtomicBool = AtomicBool::new(false);

static STEPPED: IrqLock<Option<Stepped>> = IrqLock::new(None);

/// Whether the explorer has made its call, and has left `hold`.
static FINISHED: AtomicBool = AtomicBool::new(false);

/// What the partner has done: the call that it made, if it made one.
pub type Disturbed = Result<Option<Watched>, String>;

static DISTURBED: IrqLock<Option<Disturbed>> = IrqLock::new(None);

/// How long anything may take.
const SOON: Duration = Duration::from_secs(10);

/// Bytes of the explorer's stack: an interrupt handler makes calls on it too.
const STACK_BYTES: usize = 64 * 1024;

/// Makes the threads.
///
/// # Errors
/// [`OutOfMemory`].
pub fn start() -> Result<(), OutOfMemory> {
    *WAITING.lock() = Some(thread::current());
    let explorer = thread::spawn_with_stack("explorer", STACK_BYTES, explore)?;
    *EXPLORER.thread.lock() = Some(explorer.thread().clone());
    let partner = thread::spawn("partner", disturb)?;
    *PARTNER.thread.lock() = Some(partner.thread().clone());
    let holder = thread::spawn("holder", hold)?;
    *HOLDER.thread.lock() = Some(holder.thread().clone());
    Ok(())
}

/// Ends the threads.
pub fn stop() {
    for seat in [&EXPLORER, &PARTNER, &HOLDER] {
        seat.give(Order::Quit);
        *seat.thread.lock() = None;
    }
}

fn tell() {
    if let Some(thread) = &*WAITING.lock() {
        thread.unpark();
    }
}

/// Waits until `done`. Says whether that came to pass in time.
fn wait_until(mut done: impl FnMut() -> bool) -> bool {
    let deadline = arch::timebase() + time::timebase_ticks(SOON);
    while !done() {
        if !thread::park_until(deadline) && arch::timebase() >= deadline {
            return done();
        }
    }
    true
}

fn explore() {
    loop {
        thread::safe_point();
        match EXPLORER.take() {
            Order::Enter => functions::hold(inside_explorer),
            Order::Step(what) => make_step(what),
            Order::Quit => return,
            _ => {}
        }
        if STEPPED.lock().is_some() {
            FINISHED.store(true, Ordering::Relaxed);
            tell();
        }
    }
}

extern "C" fn inside_explorer() {
    INSIDE.store(true, Ordering::Relaxed);
    tell();
    if let Order::Step(what) = EXPLORER.take() {
        make_step(what);
    }
    INSIDE.store(false, Ordering::Relaxed);
}

fn make_step(what: Option<(usize, Disturbance)>) {
    let stepped = step::step(what);
    *STEPPED.lock() = Some(stepped);
}

fn hold() {
    loop {
        thread::safe_point();
        match HOLDER.take() {
            Order::Enter => functions::hold(inside_holder),
            Order::Quit => return,
            _ => {}
        }
    }
}

extern "C" fn inside_holder() {
    INSIDE.store(true, Ordering::Relaxed);
    tell();
    while HOLDER.take() != Order::Leave {}
    INSIDE.store(false, Ordering::Relaxed);
    tell();
}

fn disturb() {
    loop {
        thread::safe_point();
        match PARTNER.take() {
            Order::Disturb(disturbance) => {
                let done = pairs::make(disturbance);
                *DISTURBED.lock() = Some(done);
                tell();
            }
            Order::Quit => return,
            _ => {}
        }
    }
}

/// Whether the partner is done with what it was told.
pub fn is_done() -> bool {
    DISTURBED.lock().is_some()
}

/// Whether the explorer's call is over, and `hold` left.
pub fn is_finished() -> bool {
    FINISHED.load(Ordering::Relaxed)
}

/// Sends one of them into `hold`.
///
/// # Errors
/// When it does not get there.
pub fn enter(seat: &Seat) -> Result<(), String> {
    seat.give(Order::Enter);
    if wait_until(|| INSIDE.load(Ordering::Relaxed)) {
        Ok(())
    } else {
        Err("no thread has come into `hold`".into())
    }
}

/// Lets the holder out, if it is in `hold`.
///
/// # Errors
/// When it does not come out.
pub fn leave() -> Result<(), String> {
    if INSIDE.load(Ordering::Relaxed) {
        HOLDER.give(Order::Leave);
    }
    if wait_until(|| !INSIDE.load(Ordering::Relaxed)) {
        Ok(())
    } else {
        Err("no thread has left `hold`".into())
    }
}

/// Has the explorer make its call, and the partner its disturbance.
///
/// # Errors
/// When one of them does not come to an end. Then nothing can be tried any more.
pub fn run(what: Option<(usize, Disturbance)>) -> Result<(Stepped, Option<Disturbed>), String> {
    *DISTURBED.lock() = None;
    FINISHED.store(false, Ordering::Relaxed);
    pairs::begin();
    EXPLORER.give(Order::Step(what));
    if !wait_until(is_finished) {
        return Err("the explorer's call does not end".into());
    }
    let stepped = STEPPED.lock().take();
    let stepped = stepped.ok_or("the explorer's call is lost")?;
    let mut disturbed = None;
    let is_partners = what.is_some_and(|(_, disturbance)| disturbance.is_partners());
    if stepped.at.is_some() && is_partners {
        if !wait_until(is_done) {
            return Err("what the partner does does not end".into());
        }
        disturbed = DISTURBED.lock().take();
    }
    Ok((stepped, disturbed))
}
