//! Which types an edit lays out otherwise, and how that is said.

mod support;

use debuginfo::{ChangeKind, Shape, compare, compare_statics};
use support::{changes, said, types};

const ACCOUNT: &str = "
pub mod bank {
    pub struct Account { pub owner: u64, pub rate: u32 }
    pub static FIRST: Account = Account { owner: 1, rate: 2 };
}
";

#[test]
fn what_is_not_edited_does_not_differ() {
    assert_eq!(said(ACCOUNT, ACCOUNT), Vec::<String>::new());
    let other_code = format!("{ACCOUNT} pub fn other(x: u32) -> u32 {{ x + 1 }}");
    assert_eq!(said(ACCOUNT, &other_code), Vec::<String>::new());
}

#[test]
fn a_new_field_is_named_with_its_place() {
    let new = ACCOUNT
        .replace("rate: u32 }", "rate: u32, pub fee: u64 }")
        .replace("rate: 2 }", "rate: 2, fee: 3 }");
    assert_eq!(
        said(ACCOUNT, &new),
        ["demo::bank::Account: field `fee` is new at offset 8; \
             field `rate` is at offset 16 and was at 8; \
             its size is 24 bytes and was 16 bytes"]
    );
    assert_eq!(
        said(&new, ACCOUNT),
        ["demo::bank::Account: field `fee` at offset 8 is gone; \
             field `rate` is at offset 8 and was at 16; its size is 16 bytes and was 24 bytes"]
    );
    assert_eq!(changes(ACCOUNT, &new)[0].kind, ChangeKind::Layout);
}

/// Two fields fit into what one had: the size is the same.
#[test]
fn a_field_that_is_split_is_seen_without_a_change_of_size() {
    let new = ACCOUNT
        .replace("rate: u32", "rate: u16, pub fee: u16")
        .replace("rate: 2", "rate: 2, fee: 0");
    assert_eq!(
        said(ACCOUNT, &new),
        [
            "demo::bank::Account: field `rate` is of type u16 and was of u32; \
             field `fee` is new at offset 10"
        ]
    );
}

#[test]
fn a_field_of_another_type_is_named_with_both() {
    let new = ACCOUNT.replace("rate: u32", "rate: i32");
    assert_eq!(
        said(ACCOUNT, &new),
        ["demo::bank::Account: field `rate` is of type i32 and was of u32"]
    );
}

#[test]
fn the_order_in_the_source_is_not_the_order_in_memory() {
    let swapped = ACCOUNT.replace("owner: u64, pub rate: u32", "rate: u32, pub owner: u64");
    assert_eq!(said(ACCOUNT, &swapped), Vec::<String>::new());
    // In C's order it is.
    let c = |source: &str| source.replace("pub struct", "#[repr(C)] pub struct");
    assert_eq!(
        said(&c(ACCOUNT), &c(&swapped)),
        [
            "demo::bank::Account: field `rate` is at offset 0 and was at 8; \
             field `owner` is at offset 8 and was at 0"
        ]
    );
}

#[test]
fn an_alignment_alone_is_a_layout() {
    let new = ACCOUNT.replace("pub struct", "#[repr(align(16))] pub struct");
    assert_eq!(
        said(ACCOUNT, &new),
        ["demo::bank::Account: its alignment is 16 bytes and was 8 bytes"]
    );
}

#[test]
fn another_name_is_no_other_layout() {
    let holder = "
        pub struct Book { pub first: Account, pub next: Option<&'static Book>, pub at: &'static Account }
        pub struct Account { pub owner: u64 }
        pub static ONE: Account = Account { owner: 1 };
        pub static BOOK: Book = Book { first: Account { owner: 1 }, next: None, at: &ONE };
    ";
    let renamed = holder.replace("Account", "Customer");
    assert_eq!(said(holder, &renamed), Vec::<String>::new());
    // With another name and another layout it is of another type.
    let both = renamed.replace("owner: u64", "owner: i64");
    assert_eq!(
        said(holder, &both),
        [
            "demo::Book: field `first` is of type demo::Customer and was of demo::Account; \
             field `at` is of type &demo::Customer and was of &demo::Account"
        ]
    );
}

#[test]
fn a_variant_more_leaves_the_old_values_as_they_were() {
    let old = "
        pub enum Plain { A, B }
        pub enum Data { Number(u32), Nothing }
        pub static P: Plain = Plain::B;
        pub static D: Data = Data::Nothing;
    ";
    let new = old
        .replace("A, B }", "A, B, C }")
        .replace("Nothing }", "Nothing, Late(u32) }");
    let changes = changes(old, &new);
    let said: Vec<_> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "demo::Data: variant `Late` is new (2)",
            "demo::Plain: variant `C` is new (2)"
        ]
    );
    assert!(
        changes
            .iter()
            .all(|one| one.kind == ChangeKind::VariantAdded)
    );
    // In the middle, the others get other numbers.
    let first = old.replace("{ A, B }", "{ C, A, B }");
    assert_eq!(
        support::said(old, &first),
        [
            "demo::Plain: variant `C` is new (0); variant `A` is 1 and was 0; \
             variant `B` is 2 and was 1"
        ]
    );
    assert_eq!(
        support::said(&new, old),
        [
            "demo::Data: variant `Late` (2) is gone",
            "demo::Plain: variant `C` (2) is gone"
        ]
    );
    let gone = support::changes(&new, old);
    assert!(gone.iter().all(|one| one.kind == ChangeKind::Layout));
}

#[test]
fn a_variant_in_a_niche_is_one_more_as_well() {
    // A `bool` is 0 or 1: the others are 2 and up.
    let old = "
        pub enum Niche { Some(bool), A }
        pub static N: Niche = Niche::A;
    ";
    let new = old.replace("A }", "A, B }");
    let niche = types(old);
    let id = niche.named("demo::Niche")[0];
    let Shape::Enum { tag, variants, .. } = &niche.get(id).shape else {
        panic!("not an enum with data");
    };
    assert!(tag.is_some());
    assert_eq!(variants[0].value, None, "the variant of all other values");
    assert_eq!(variants[1].value, Some(2));
    let changes = changes(old, &new);
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].kind, ChangeKind::VariantAdded);
    assert_eq!(
        changes[0].to_string(),
        "demo::Niche: variant `B` is new (3)"
    );
    // Nothing tells one variant from none; two need a tag.
    let single = "
        pub enum Single { Only(u32) }
        pub static S: Single = Single::Only(1);
    ";
    let two = single.replace("Only(u32)", "Only(u32), More");
    assert_eq!(
        said(single, &two),
        ["demo::Single: variant `More` is new (1); \
             what tells its variants apart is a u32 at offset 0, where none was needed; \
             variant `Only` is 0 and had no value of its own; \
             field `0` of variant `Only` is at offset 4 and was at 0; and another difference"]
    );
}

#[test]
fn the_niche_of_an_option_moves_with_what_is_in_it() {
    let old = "
        pub struct Inner { pub on: bool, pub at: u64 }
        pub static INNER: Option<Inner> = None;
        pub static REFERENCE: Option<&'static Inner> = None;
    ";
    let new = old.replace("on: bool", "on: u8");
    let said = said(old, &new);
    assert_eq!(
        said,
        [
            "core::option::Option<demo::Inner>: contains demo::Inner, which has another layout",
            "demo::Inner: field `on` is of type u8 and was of bool",
        ]
    );
    // A pointer's niche is null, whatever it points to.
    assert!(!said.iter().any(|one| one.contains("&demo::Inner")));
}

#[test]
fn values_with_signs_and_large_ones_are_what_they_are() {
    let source = "
        #[repr(i8)] pub enum Signed { Less = -1, More = 1 }
        #[repr(u64)] pub enum Large { Most = u64::MAX, Half = 1 << 63 }
        #[repr(i8)] pub enum Mixed { Low(u8) = -2, High = 3 }
        pub static M: Mixed = Mixed::High;
        pub static S: Signed = Signed::Less;
        pub static L: Large = Large::Most;
    ";
    let types = types(source);
    let values = |name: &str| {
        let ty = types.get(types.named(name)[0]);
        let Shape::Values { values, .. } = &ty.shape else {
            panic!("{name} has data");
        };
        values.iter().map(|(_, value)| *value).collect::<Vec<_>>()
    };
    assert_eq!(values("demo::Signed"), [0xff, 1]);
    assert_eq!(values("demo::Large"), [u128::from(u64::MAX), 1 << 63]);
    let Shape::Enum { variants, .. } = &types.get(types.named("demo::Mixed")[0]).shape else {
        panic!("no enum with data");
    };
    let values: Vec<_> = variants.iter().map(|one| one.value).collect();
    assert_eq!(values, [Some(0xfe), Some(3)]);
}

#[test]
fn a_struct_that_becomes_an_enum_is_one_that_cannot_be_read() {
    let old = "pub struct Way(u32); pub static WAY: Way = Way(1);";
    let new = "pub enum Way { In(u32), Out } pub static WAY: Way = Way::Out;";
    let said = said(old, new);
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("demo::Way: it is an enum with data and was a struct"),
        "{said:?}"
    );
}

#[test]
fn a_union_and_a_tuple_are_types_like_others() {
    let old = "
        pub union Word { pub whole: u64, pub half: u32 }
        pub static WORD: Word = Word { whole: 1 };
        pub static PAIR: (u8, u32) = (1, 2);
        pub struct Wide(pub u8, pub [u16; 4]);
        pub static WIDE: Wide = Wide(1, [0; 4]);
    ";
    let new = old
        .replace("half: u32", "half: u16")
        .replace("[u16; 4]", "[u16; 5]")
        .replace("[0; 4]", "[0; 5]");
    assert_eq!(
        said(old, &new),
        [
            "demo::Wide: field `1` is of type [u16; 5] and was of [u16; 4]; \
             field `0` is at offset 10 and was at 8; its size is 12 bytes and was 10 bytes",
            "demo::Word: field `half` is of type u16 and was of u32",
        ]
    );
    let types = types(old);
    let pair = types.get(types.named("(u8, u32)")[0]);
    assert_eq!((pair.size, pair.align), (Some(8), Some(4)));
}

#[test]
fn each_instance_of_a_generic_type_is_one_type() {
    let old = "
        pub struct Slot<T> { pub value: T, pub used: bool }
        pub static SMALL: Slot<u8> = Slot { value: 1, used: true };
        pub static LARGE: Slot<u64> = Slot { value: 1, used: true };
    ";
    let new = old
        .replace("used: bool", "used: u32")
        .replace("used: true", "used: 1");
    let said = said(old, &new);
    assert_eq!(
        said,
        [
            "demo::Slot<u64>: field `used` is of type u32 and was of bool",
            "demo::Slot<u8>: field `used` is of type u32 and was of bool; \
             field `value` is at offset 4 and was at 1; \
             its size is 8 bytes and was 2 bytes; its alignment is 4 bytes and was 1 byte"
        ]
    );
}

#[test]
fn what_a_closure_has_with_it_is_a_layout() {
    let old = "
        #[inline(never)] pub fn call(f: &dyn Fn(u64) -> u64) -> u64 { f(1) + f(2) }
        pub fn outer(a: u64, b: u64) -> u64 { let f = move |x| x * a; call(&f) + b }
    ";
    let new = old.replace("x * a", "x * a + b");
    assert_eq!(
        said(old, &new),
        [
            "demo::outer::{closure_env#0}: field `b` is new at offset 8; \
             its size is 16 bytes and was 8 bytes"
        ]
    );
}

#[test]
fn a_method_more_makes_another_table() {
    let old = "
        pub trait Part { fn one(&self) -> u32; }
        pub struct Wheel;
        impl Part for Wheel { fn one(&self) -> u32 { 1 } }
        #[inline(never)] pub fn part() -> &'static dyn Part { &Wheel }
    ";
    let new = old.replace(
        "fn one(&self) -> u32; }",
        "fn one(&self) -> u32; fn two(&self) -> u32 { 2 } }",
    );
    let said = said(old, &new);
    // A table's entries have no names of methods.
    assert_eq!(
        said,
        [
            "&dyn demo::Part: field `vtable` is of type &[usize; 5] and was of &[usize; 4]",
            "<demo::Wheel as demo::Part>::{vtable_type}: field `__method4` is new at offset 32; \
             its size is 40 bytes and was 32 bytes"
        ]
    );
}

#[test]
fn what_only_makes_room_is_said_to() {
    let old = "
        pub struct Inner { pub a: u64 }
        pub struct Outer { pub first: [Inner; 2], pub last: u32 }
        pub static OUTER: Outer = Outer { first: [Inner { a: 1 }, Inner { a: 2 }], last: 1 };
    ";
    let new = old
        .replace("a: u64", "a: u64, pub b: u64")
        .replace("a: 1", "a: 1, b: 1")
        .replace("a: 2", "a: 2, b: 2");
    let changes = changes(old, &new);
    let outer = changes
        .iter()
        .find(|one| one.name == "demo::Outer")
        .unwrap();
    assert!(outer.follows.is_some());
    let inner = changes
        .iter()
        .find(|one| one.name == "demo::Inner")
        .unwrap();
    assert_eq!(inner.follows, None);
}

#[test]
fn two_objects_that_describe_a_type_alike_are_one_description() {
    let one = support::object(ACCOUNT);
    let both = debuginfo::Types::read_all([&one[..], &one[..]]).unwrap();
    assert_eq!(both.named("demo::bank::Account").len(), 2);
    assert_eq!(compare(&both, &types(ACCOUNT)), []);
    assert_eq!(compare(&types(ACCOUNT), &both), []);
}

#[test]
fn a_type_that_one_function_has_for_itself_is_compared_too() {
    let old = "
        #[inline(never)] fn keep<T>(x: &T) -> usize { core::ptr::from_ref(core::hint::black_box(x)).addr() }
        pub fn alone(a: u32) -> usize { struct Local { a: u32 } keep(&Local { a }) }
    ";
    let new = old
        .replace("{ a: u32 }", "{ a: u32, b: u32 }")
        .replace("Local { a })", "Local { a, b: 1 })");
    assert_eq!(
        said(old, &new),
        ["demo::alone::Local: field `b` is new at offset 4; its size is 8 bytes and was 4 bytes"]
    );
}

#[test]
fn a_static_of_another_type_is_named() {
    let old = "
        pub struct Account { pub owner: u64 }
        pub static BOOK: [Account; 2] = [const { Account { owner: 1 } }; 2];
        pub static RATE: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(1);
        pub static LEFT: u8 = 1;
    ";
    let new = old
        .replace("; 2]", "; 3]")
        .replace("AtomicU32", "AtomicI32")
        .replace("Account", "Customer");
    let changes = compare_statics(&types(old), &types(&new));
    let said: Vec<_> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "demo::BOOK: it is of type [demo::Customer; 3] and was of [demo::Account; 2]",
            "demo::RATE: it is of type core::sync::atomic::Atomic<i32> and was of \
             core::sync::atomic::Atomic<u32>",
        ]
    );
    let renamed = old.replace("Account", "Customer");
    assert_eq!(compare_statics(&types(old), &types(&renamed)), []);
}
