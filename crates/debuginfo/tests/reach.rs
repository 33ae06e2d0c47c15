//! Which statics and types have a type in them, or lead to one.

mod support;

use debuginfo::{Holder, How, containers, statics_of};
use support::types;

const SOURCE: &str = "
    use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
    use core::cell::UnsafeCell;
    pub struct Account { pub owner: u64 }
    pub struct Lock<T> { pub held: bool, pub data: UnsafeCell<T> }
    unsafe impl<T> Sync for Lock<T> {}
    pub struct Branch { pub first: Account, pub rest: Vec<Account> }
    pub enum Desk { Open(Account, u8), Closed }
    pub static ONE: Account = Account { owner: 1 };
    pub static LOCKED: Lock<Option<Account>> = Lock { held: false, data: UnsafeCell::new(None) };
    pub static TABLE: [[Account; 2]; 3] = [const { [const { Account { owner: 0 } }; 2] }; 3];
    pub static DESK: Desk = Desk::Closed;
    pub static HEAP: Lock<Vec<Account>> = Lock { held: false, data: UnsafeCell::new(Vec::new()) };
    pub static MAP: Lock<BTreeMap<u32, Account>> =
        Lock { held: false, data: UnsafeCell::new(BTreeMap::new()) };
    pub static BOXED: Lock<Option<Box<Branch>>> = Lock { held: false, data: UnsafeCell::new(None) };
    pub static SHARED: Lock<Option<Arc<Account>>> =
        Lock { held: false, data: UnsafeCell::new(None) };
    pub static LENT: &Account = &ONE;
    pub static LENT_MANY: Lock<&[Account]> = Lock { held: false, data: UnsafeCell::new(&[]) };
    pub static OTHER: Lock<u64> = Lock { held: false, data: UnsafeCell::new(1) };
    pub struct Lonely { pub x: u8 }
    #[inline(never)] pub fn alone(x: &Lonely) -> u8 {
        static CALLS: Lock<Account> =
            Lock { held: false, data: UnsafeCell::new(Account { owner: 2 }) };
        x.x + CALLS.held as u8
    }
";

#[test]
fn statics_are_found_by_value_and_through_pointers() {
    let types = types(SOURCE);
    let holders = statics_of(&types, "demo::Account");
    let said: Vec<_> = holders.iter().map(|one| (one.how, &*one.path)).collect();
    assert_eq!(
        said,
        [
            (How::ByValue, "demo::DESK.Open.0"),
            (How::ByValue, "demo::LOCKED.data.value.Some.0"),
            (How::ByValue, "demo::ONE"),
            (How::ByValue, "demo::TABLE[_][_]"),
            (How::ByValue, "demo::alone::CALLS.data.value"),
            (How::Reached, "demo::BOXED.data.value.Some.0.*.first"),
            (How::Reached, "demo::HEAP.data.value<T>"),
            (How::Reached, "demo::LENT.*"),
            (How::Reached, "demo::LENT_MANY.data.value.data_ptr.*"),
            (How::Reached, "demo::MAP.data.value<V>"),
            (How::Reached, "demo::SHARED.data.value.Some.0<T>"),
        ]
    );
    let one = holders.iter().find(|one| one.path == "demo::ONE").unwrap();
    assert!(one.linkage_name.starts_with("_RNv") && one.linkage_name.ends_with("4demo3ONE"));
    // What only a function has is in no static, and neither is what is not there.
    assert_eq!(statics_of(&types, "demo::Lonely"), Vec::<Holder>::new());
    assert_eq!(statics_of(&types, "demo::Nothing"), Vec::<Holder>::new());
}

#[test]
fn what_contains_a_type_by_value_is_named() {
    let types = types(SOURCE);
    let all = containers(&types, "demo::Account");
    for one in [
        "demo::Branch",
        "demo::Desk",
        "demo::Lock<core::option::Option<demo::Account>>",
        "core::option::Option<demo::Account>",
        "[demo::Account; 2]",
        "[[demo::Account; 2]; 3]",
    ] {
        assert!(all.contains(&one), "{one} is not in {all:?}");
    }
    assert!(
        !all.iter()
            .any(|one| one.contains("Vec") || one.contains("Arc<"))
    );
}

#[test]
fn a_static_without_a_mangled_name_has_its_own() {
    let types = types(
        "pub struct Mark(pub u32);
         #[unsafe(no_mangle)] pub static MARK: Mark = Mark(1);
         #[unsafe(export_name = \"mark_two\")] pub static OTHER: Mark = Mark(2);",
    );
    let holders = statics_of(&types, "demo::Mark");
    let names: Vec<_> = holders.iter().map(|one| &*one.linkage_name).collect();
    assert_eq!(names, ["MARK", "mark_two"]);
}
