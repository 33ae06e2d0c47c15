//! Damaged debug information ends in an error or in something wrong, and never in a panic,
//! a loop or more memory than the object is worth.

mod support;

use debuginfo::{Error, Functions, Types, compare, containers, statics_of};
use object::{Object as _, ObjectSection as _};
use proptest::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Range;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Counts what a thread has allocated and not freed, and how much that was at most.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    MOST.set(MOST.get().max(held));
}

// SAFETY: the system's allocator does all; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SOURCE: &str = "
    use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
    pub struct Account { pub owner: u64, pub rate: u32 }
    pub enum Desk { Open(Account, bool), Closed, Moved { to: u8 } }
    #[derive(Clone, Copy)] pub enum Plain { A = 3, B = 7 }
    pub union Word { pub whole: u64, pub half: u32 }
    pub static BOOK: [Account; 2] = [const { Account { owner: 1, rate: 2 } }; 2];
    pub static DESK: Desk = Desk::Closed;
    pub static WORD: Word = Word { whole: 1 };
    #[inline(never)] pub fn add(map: &mut BTreeMap<u32, Box<Desk>>, key: u32, plain: Plain) {
        map.insert(key ^ plain as u32, Box::new(Desk::Moved { to: 3 }));
    }
    #[inline(never)] pub fn sum(all: &Vec<Account>, extra: u64) -> u64 {
        all.iter().map(|one| one.owner ^ extra).filter(|sum| sum % 3 == 1).sum()
    }
";

/// An object that is whole, and where its debug sections and their relocations are.
fn whole() -> &'static (Vec<u8>, Vec<Range<usize>>) {
    static WHOLE: OnceLock<(Vec<u8>, Vec<Range<usize>>)> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let object = support::object(SOURCE);
        let file = object::File::parse(&*object).unwrap();
        let debug = |section: &object::Section<'_, '_>| {
            section.name().is_ok_and(|name| name.contains(".debug_"))
        };
        let ranges = file.sections().filter(debug).filter_map(|section| {
            let (start, size) = section.file_range()?;
            let start = usize::try_from(start).ok()?;
            Some(start..start + usize::try_from(size).ok()?)
        });
        let ranges = ranges.filter(|range| !range.is_empty()).collect();
        (object, ranges)
    })
}

/// Reads an object and asks all that can be asked.
fn ask(object: &[u8]) {
    let before = HELD.get();
    MOST.set(before);
    let started = Instant::now();
    if let Ok(types) = Types::read(object) {
        static GOOD: OnceLock<Types> = OnceLock::new();
        let good = GOOD.get_or_init(|| Types::read(&whole().0).unwrap());
        for change in compare(good, &types).iter().chain(&compare(&types, good)) {
            assert!(!change.to_string().is_empty());
        }
        for name in ["demo::Account", "u64", "demo::Desk", "()"] {
            let _ = statics_of(&types, name);
            let _ = containers(&types, name);
        }
    }
    if let Ok(functions) = Functions::read(object) {
        for one in functions.iter() {
            let _ = one.who(&|_, line| line % 3 == 0);
        }
    }
    let most = MOST.get() - before;
    assert!(
        most <= object.len().cast_signed() * 64 + (8 << 20),
        "{most} bytes for an object of {}",
        object.len()
    );
    // A thousand times what it takes, on a machine that has other work.
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn the_object_is_whole_to_begin_with() {
    let (object, sections) = whole();
    ask(object);
    assert!(Types::read(object).unwrap().statics().len() >= 3);
    assert!(Functions::read(object).unwrap().iter().count() >= 2);
    assert!(sections.len() >= 8);
}

#[test]
fn what_is_no_object_or_has_no_debug_information_is_said_so() {
    assert!(matches!(Types::read(b""), Err(Error::Object(_))));
    assert!(matches!(Functions::read(b"\x7fELF"), Err(Error::Object(_))));
    let (object, _) = whole();
    let mut other = object.clone();
    // The name of the section alone.
    let name = b".debug_info\0";
    let place = other.windows(name.len()).rposition(|window| window == name);
    other[place.unwrap() + 1] = b'x';
    assert_eq!(Types::read(&other).unwrap_err(), Error::None);
    assert_eq!(
        Functions::read(&other).unwrap_err().to_string(),
        "the object has no debug information"
    );
}

#[test]
fn an_object_that_ends_early_is_refused() {
    let (object, sections) = whole();
    for range in sections {
        for end in [range.start, range.start + range.len() / 2, range.end - 1] {
            ask(&object[..end]);
        }
    }
}

/// A string table without ends: each name is all that follows.
#[test]
fn names_that_are_read_again_and_again_are_refused() {
    let object = support::object(&format!(
        "{SOURCE} pub static LONG: Account = Account {{ owner: 1, rate: 2 }};"
    ));
    let file = object::File::parse(&*object).unwrap();
    let section = file.section_by_name(".debug_str").unwrap();
    let (start, size) = section.file_range().unwrap();
    let (start, size) = (start as usize, size as usize);
    let mut endless = object.clone();
    endless[start..start + size - 1].fill(b'x');
    assert_eq!(Types::read(&endless).unwrap_err(), Error::Repeats);
    assert_eq!(Functions::read(&endless).unwrap_err(), Error::Repeats);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_bytes_do_no_harm(
        damage in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), damaged_byte()),
            1..6,
        ),
    ) {
        let (object, sections) = whole();
        let mut object = object.clone();
        for (section, place, byte) in damage {
            let range = &sections[section.index(sections.len())];
            object[range.start + place.index(range.len())] = byte;
        }
        ask(&object);
    }

    #[test]
    fn swapped_pieces_do_no_harm(
        swaps in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(),
             any::<prop::sample::Index>(), 1..40_usize),
            1..4,
        ),
    ) {
        let (object, sections) = whole();
        let mut object = object.clone();
        for (section, from, to, length) in swaps {
            let range = &sections[section.index(sections.len())];
            let length = length.min(range.len());
            let at = |place: prop::sample::Index| {
                range.start + place.index(range.len() - length + 1)
            };
            let from = at(from);
            object.copy_within(from..from + length, at(to));
        }
        ask(&object);
    }
}

/// Bytes that mean something at an edge, or any.
fn damaged_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(0x7f),
        Just(0x80),
        Just(0xff),
        any::<u8>()
    ]
}
