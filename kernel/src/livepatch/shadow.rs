//! Shadow variables: data that patches attach to the kernel's objects without
//! changing these (Linux `Documentation/livepatch/shadow-vars.rst`).

use crate::sync::IrqLock;
use alloc::{alloc::Layout, collections::BTreeMap, vec::Vec};
use core::ptr::NonNull;

/// Which: the object's address, and a number that stands for the kind of data.
type Key = (usize, u64);

/// A variable's memory.
#[derive(Debug)]
struct Block {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: plain memory, which whoever looks it up shares as the patch sees fit.
unsafe impl Send for Block {}

static VARIABLES: IrqLock<BTreeMap<Key, Block>> = IrqLock::new(BTreeMap::new());

/// Fills in a new variable; anything but 0 is a refusal.
pub type Init = extern "C" fn(*mut u8, *mut ()) -> i32;
/// Is told of a variable that is about to go: its object and its data.
pub type Free = extern "C" fn(*const (), *mut u8);

/// The variable of an object, if it has one.
#[must_use]
pub fn get(object: usize, id: u64) -> Option<NonNull<u8>> {
    VARIABLES.lock().get(&(object, id)).map(|block| block.start)
}

/// Makes one. `init` runs before anybody can see it.
///
/// Nothing if there is one already, no memory, or `init` refuses.
#[must_use]
pub fn attach(
    object: usize,
    id: u64,
    layout: Layout,
    init: Option<(Init, *mut ())>,
) -> Option<NonNull<u8>> {
    make(object, id, layout, init, false)
}

/// The variable of an object; makes it if there is none.
#[must_use]
pub fn get_or_attach(
    object: usize,
    id: u64,
    layout: Layout,
    init: Option<(Init, *mut ())>,
) -> Option<NonNull<u8>> {
    get(object, id).or_else(|| make(object, id, layout, init, true))
}

fn make(
    object: usize,
    id: u64,
    layout: Layout,
    init: Option<(Init, *mut ())>,
    share: bool,
) -> Option<NonNull<u8>> {
    if layout.size() == 0 || get(object, id).is_some() {
        return None;
    }
    // SAFETY: the size is not zero.
    let start = NonNull::new(unsafe { alloc::alloc::alloc_zeroed(layout) })?;
    let block = Block { start, layout };
    if let Some((init, data)) = init
        && init(start.as_ptr(), data) != 0
    {
        block.free();
        return None;
    }
    let mut variables = VARIABLES.lock();
    // Somebody may have been quicker while `init` ran.
    if let Some(other) = variables.get(&(object, id)) {
        let other = other.start;
        drop(variables);
        block.free();
        return share.then_some(other);
    }
    variables.insert((object, id), block);
    Some(start)
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
    let gone = VARIABLES.lock().remove(&(object, id));
    if let Some(block) = gone {
        let_go((object, id), block, free);
    }
}

/// Takes all variables of a kind away.
pub fn detach_all(id: u64, free: Option<Free>) {
    let gone: Vec<(Key, Block)> = {
        let mut variables = VARIABLES.lock();
        variables.extract_if(.., |key, _| key.1 == id).collect()
    };
    for (key, block) in gone {
        let_go(key, block, free);
    }
}

/// How many there are.
#[must_use]
pub fn count() -> usize {
    VARIABLES.lock().len()
}
