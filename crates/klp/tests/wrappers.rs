//! Shadow variables, states and threads, with a small kernel of the test's own.

use klp::State;
use klp::kernel::{Constructor, Destructor};
use klp::shadow::Shadow;
use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// By object and id: the value's address, and its layout.
static VALUES: Mutex<BTreeMap<(usize, u64), (usize, Layout)>> = Mutex::new(BTreeMap::new());

#[unsafe(no_mangle)]
extern "C" fn klp_shadow_get(object: *const (), id: u64) -> *mut u8 {
    let values = VALUES.lock().unwrap();
    let value = values.get(&(object.addr(), id));
    value.map_or(null_mut(), |value| value.0 as *mut u8)
}

#[unsafe(no_mangle)]
extern "C" fn klp_shadow_alloc(
    object: *const (),
    id: u64,
    size: usize,
    align: usize,
    init: Option<Constructor>,
    data: *mut (),
) -> *mut u8 {
    let mut values = VALUES.lock().unwrap();
    if values.contains_key(&(object.addr(), id)) {
        return null_mut();
    }
    let layout = Layout::from_size_align(size, align).unwrap();
    // SAFETY: the size is not 0.
    let value = unsafe { alloc(layout) };
    if init.is_some_and(|init| init(value, data) != 0) {
        return null_mut();
    }
    values.insert((object.addr(), id), (value as usize, layout));
    value
}

#[unsafe(no_mangle)]
extern "C" fn klp_shadow_get_or_alloc(
    object: *const (),
    id: u64,
    size: usize,
    align: usize,
    init: Option<Constructor>,
    data: *mut (),
) -> *mut u8 {
    let value = klp_shadow_get(object, id);
    if !value.is_null() {
        return value;
    }
    klp_shadow_alloc(object, id, size, align, init, data)
}

fn free(key: (usize, u64), drop: Option<Destructor>) {
    let Some((value, layout)) = VALUES.lock().unwrap().remove(&key) else {
        return;
    };
    if let Some(drop) = drop {
        drop(key.0 as *const (), value as *mut u8);
    }
    // SAFETY: allocated above with this layout.
    unsafe { dealloc(value as *mut u8, layout) };
}

#[unsafe(no_mangle)]
extern "C" fn klp_shadow_free(object: *const (), id: u64, drop: Option<Destructor>) {
    free((object.addr(), id), drop);
}

#[unsafe(no_mangle)]
extern "C" fn klp_shadow_free_all(id: u64, drop: Option<Destructor>) {
    let keys: Vec<_> = VALUES.lock().unwrap().keys().copied().collect();
    for key in keys.into_iter().filter(|key| key.1 == id) {
        free(key, drop);
    }
}

static BEFORE: State = State::new(7, 3);

#[unsafe(no_mangle)]
extern "C" fn klp_previous_state(id: u32) -> *const State {
    if id == BEFORE.id {
        &BEFORE
    } else {
        std::ptr::null()
    }
}

#[unsafe(no_mangle)]
extern "C" fn klp_safe_point() {}
#[unsafe(no_mangle)]
extern "C" fn klp_yield() {}
#[unsafe(no_mangle)]
extern "C" fn klp_sleep(_: u64) {}

#[unsafe(no_mangle)]
extern "C" fn klp_thread_name(buffer: *mut u8, room: usize) -> usize {
    let name = "wörker".as_bytes();
    let length = name.len().min(room);
    // SAFETY: there is room for that much.
    unsafe { buffer.copy_from(name.as_ptr(), length) };
    length
}

static DROPPED: AtomicU64 = AtomicU64::new(0);

struct Counted(u64);

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.fetch_add(self.0, Relaxed);
    }
}

#[test]
fn values_are_made_once_and_dropped_once() {
    // SAFETY: no other code uses the number.
    let shadow = unsafe { Shadow::<Counted>::new(1) };
    let (one, two) = (1_u8, 2_u8);
    let (first, second) = (&raw const one, &raw const two);
    assert!(shadow.get(first).is_none());
    assert_eq!(shadow.alloc(first, || Counted(10)).unwrap().0, 10);
    assert!(shadow.alloc(first, || unreachable!()).is_none());
    let same = shadow.get_or_init(first, || unreachable!());
    assert_eq!(same.unwrap().0, 10);
    assert_eq!(shadow.get_or_init(second, || Counted(20)).unwrap().0, 20);
    assert_eq!(shadow.get(second).unwrap().0, 20);
    // SAFETY: no reference is used from here on.
    unsafe { shadow.free(first) };
    assert_eq!(DROPPED.load(Relaxed), 10);
    // SAFETY: as above.
    unsafe { shadow.free(first) };
    assert_eq!(DROPPED.load(Relaxed), 10);
    assert!(shadow.get(first).is_none());
    // SAFETY: as above.
    unsafe { shadow.free_all() };
    assert_eq!(DROPPED.load(Relaxed), 30);
    assert!(shadow.get(second).is_none());
}

#[test]
fn a_value_may_have_no_size_and_ids_are_kept_apart() {
    // SAFETY: no other code uses the numbers.
    let (marks, words) = unsafe { (Shadow::<()>::new(2), Shadow::<[u64; 4]>::new(3)) };
    let object = &raw const BEFORE;
    assert!(marks.get_or_init(object, || ()).is_some());
    assert!(words.get(object).is_none());
    let made = words.get_or_init(object, || [1, 2, 3, 4]);
    assert_eq!(made, Some(&[1, 2, 3, 4]));
    // SAFETY: no reference is used from here on.
    unsafe {
        marks.free_all();
        words.free(object);
    }
    assert!(marks.get(object).is_none() && words.get(object).is_none());
}

#[test]
fn the_state_before_is_found() {
    BEFORE.data.store(5, Relaxed);
    let found = klp::state::previous(7).unwrap();
    assert_eq!((found.version, found.data), (3, 5));
    assert_eq!(klp::state::previous(8), None);
}

#[test]
fn a_name_is_cut_off_between_characters() {
    klp::thread::safe_point();
    klp::thread::yield_now();
    klp::thread::sleep(0);
    let mut buffer = [0; 16];
    assert_eq!(klp::thread::name(&mut buffer), "wörker");
    assert_eq!(klp::thread::name(&mut buffer[..3]), "wö");
    assert_eq!(klp::thread::name(&mut buffer[..2]), "w");
    assert_eq!(klp::thread::name(&mut []), "");
}
