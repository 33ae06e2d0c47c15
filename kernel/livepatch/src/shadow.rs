//! Shadow variables: data that patches attach to the kernel's objects without
//! changing these (Linux `Documentation/livepatch/shadow-vars.rst`).
//!
//! Linux makes a variable under a spin lock (`kernel/livepatch/shadow.c`), so that its
//! constructor runs once, with interrupts off. Here the lock is a claim that one thread
//! has, and may keep while it sleeps: the constructor runs once too, interrupts stay on,
//! and other threads that want to make a variable sleep meanwhile. To find a variable, or
//! to free one, takes no claim.

use alloc::{alloc::Layout, collections::BTreeMap, vec::Vec};
use core::ptr::NonNull;
use machine::{arch, sync::IrqLock};
use thread::{Thread, WaitQueue};

/// Which: the object's address, and a number that stands for the kind of data.
type Key = (usize, u64);

/// A variable's memory.
#[derive(Debug)]
struct Block {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: plain memory. How the threads that look it up share it is for the patch to say.
unsafe impl Send for Block {}

struct Variables {
    all: BTreeMap<Key, Block>,
    /// The claim, and the memory of the variable that is being made under it.
    making: Option<(Maker, Option<Block>)>,
}

static VARIABLES: IrqLock<Variables> = IrqLock::named(
    "livepatch::VARIABLES",
    Variables {
        all: BTreeMap::new(),
        making: None,
    },
);

/// Threads that wait for the claim.
static WAITING: WaitQueue = WaitQueue::new();

/// Fills in a new variable; anything but 0 is a refusal.
pub type Init = extern "C" fn(*mut u8, *mut ()) -> i32;
/// Is told of a variable that is about to go: its object and its data.
pub type Free = extern "C" fn(*const (), *mut u8);

/// Who makes a variable: a thread, or an interrupt handler that runs on its stack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Maker {
    thread: u32,
    in_interrupt: bool,
}

impl Maker {
    fn running() -> Self {
        Self {
            thread: thread::with_current(Thread::id).unwrap_or(0),
            in_interrupt: arch::in_interrupt(),
        }
    }

    /// Whether it may sleep until the claim is free.
    fn can_wait(self) -> bool {
        !self.in_interrupt && arch::interrupts_are_on()
    }
}

/// The variable of an object, if it has one.
#[must_use]
pub fn get(object: usize, id: u64) -> Option<NonNull<u8>> {
    let variables = VARIABLES.lock();
    variables.all.get(&(object, id)).map(|block| block.start)
}

/// Makes one. `init` runs before any thread can see it.
///
/// Nothing if there is one already, no memory, or `init` refuses; and where the caller
/// can't wait for another variable that is being made: with interrupts off, and in an
/// interrupt handler.
///
/// # Panics
/// When `init` asks for a variable to be made.
#[must_use]
pub fn attach(
    object: usize,
    id: u64,
    layout: Layout,
    init: Option<(Init, *mut ())>,
) -> Option<NonNull<u8>> {
    make((object, id), layout, init, false)
}

/// The variable of an object; if there is none, makes it as [`attach`] does.
///
/// # Panics
/// When `init` asks for a variable to be made.
#[must_use]
pub fn get_or_attach(
    object: usize,
    id: u64,
    layout: Layout,
    init: Option<(Init, *mut ())>,
) -> Option<NonNull<u8>> {
    make((object, id), layout, init, true)
}

#[inline(never)] // a test hooks it
fn make(
    key: Key,
    layout: Layout,
    init: Option<(Init, *mut ())>,
    share: bool,
) -> Option<NonNull<u8>> {
    if layout.size() == 0 {
        return None;
    }
    let claim = match Claim::take(key) {
        Taken::Claim(claim) => claim,
        Taken::Exists(start) => return share.then_some(start),
        Taken::Busy => return None,
    };
    // SAFETY: the size is not zero.
    let start = NonNull::new(unsafe { alloc::alloc::alloc_zeroed(layout) })?;
    // In the claim, so that it is not lost if `init` never comes back.
    claim.hold(Block { start, layout });
    let refused = init.is_some_and(|(init, data)| init(start.as_ptr(), data) != 0);
    if refused {
        return None;
    }
    claim.publish(key);
    Some(start)
}

/// The right to make a variable.
struct Claim(());

/// What became of the wish for a claim.
enum Taken {
    /// It is the caller's.
    Claim(Claim),
    /// The variable exists.
    Exists(NonNull<u8>),
    /// Another one is being made, and the caller can't wait.
    Busy,
}

impl Claim {
    /// Waits for the claim, or until another thread has made the variable.
    fn take(key: Key) -> Taken {
        let me = Maker::running();
        let look = || {
            let mut variables = VARIABLES.lock();
            if variables.making.as_ref().is_some_and(|(by, _)| *by == me) {
                drop(variables);
                panic!("the constructor of a shadow variable asks for another one to be made");
            }
            if let Some(block) = variables.all.get(&key) {
                return Some(Taken::Exists(block.start));
            }
            if variables.making.is_some() {
                return None;
            }
            variables.making = Some((me, None));
            Some(Taken::Claim(Self(())))
        };
        let mut taken = look();
        if taken.is_none() && me.can_wait() {
            WAITING.wait_until(|| {
                taken = look();
                taken.is_some()
            });
        }
        taken.unwrap_or(Taken::Busy)
    }

    /// Keeps the memory of the variable that is being made.
    fn hold(&self, block: Block) {
        if let Some((_, held)) = &mut VARIABLES.lock().making {
            *held = Some(block);
        }
    }

    /// Lets all threads see the variable.
    fn publish(self, key: Key) {
        let mut variables = VARIABLES.lock();
        let block = variables.making.as_mut().and_then(|(_, held)| held.take());
        variables.all.extend(block.map(|block| (key, block)));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        give_up(|_| true);
    }
}

/// Ends the making of a variable, if it is of such a maker. Memory that was not published
/// is freed.
fn give_up(is_meant: impl FnOnce(Maker) -> bool) {
    let making = {
        let mut variables = VARIABLES.lock();
        let making = &mut variables.making;
        making.take_if(|(by, _)| is_meant(*by))
    };
    let Some((_, block)) = making else { return };
    if let Some(block) = block {
        block.free();
    }
    WAITING.wake_all();
}

/// A thread is stopped because of a fault: if a constructor of its has not returned, it
/// never will.
pub(super) fn stopped(thread: u32) {
    give_up(|by| by.thread == thread);
}

impl Block {
    fn free(self) {
        // SAFETY: allocated in `make` with this layout, and given back once.
        unsafe { alloc::alloc::dealloc(self.start.as_ptr(), self.layout) };
    }
}

fn let_go(key: Key, block: Block, free: Option<Free>) {
    if let Some(free) = free {
        free(
            core::ptr::with_exposed_provenance(key.0),
            block.start.as_ptr(),
        );
    }
    block.free();
}

/// Takes an object's variable away. `free` is told before the memory goes.
pub fn detach(object: usize, id: u64, free: Option<Free>) {
    let gone = VARIABLES.lock().all.remove(&(object, id));
    if let Some(block) = gone {
        let_go((object, id), block, free);
    }
}

/// Takes all variables of a kind away; not one that is still being made.
pub fn detach_all(id: u64, free: Option<Free>) {
    let gone: Vec<(Key, Block)> = {
        let mut variables = VARIABLES.lock();
        variables.all.extract_if(.., |key, _| key.1 == id).collect()
    };
    for (key, block) in gone {
        let_go(key, block, free);
    }
}

/// How many there are.
#[must_use]
pub fn count() -> usize {
    VARIABLES.lock().all.len()
}
