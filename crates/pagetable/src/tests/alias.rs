use super::*;
use crate::radix::{
    Alias, LARGE_PAGE, Memory, Opened, ROOT_BYTES, ROOT_ENTRIES, ROOT_STEP, RadixError, Sizes,
    TABLE_BYTES, map, page_at, plant, process_entry, set,
};
use ram::{END, Ram, low_bits, small, translate};
use std::vec::Vec;

/// A tree with pages of both sizes, and its alias.
fn tree_and_alias() -> (Ram, u64, Alias) {
    let ram = Ram::new(32);
    let root = plant(&ram).unwrap();
    map(
        &ram,
        root,
        (PAGE, 4 * PAGE),
        Some(Rights::Code),
        Sizes::Small,
    )
    .unwrap();
    map(
        &ram,
        root,
        (LARGE_PAGE, 3 * LARGE_PAGE),
        Some(Rights::Data),
        Sizes::Any,
    )
    .unwrap();
    let alias = Alias::new(&ram, plant(&ram).unwrap(), root).unwrap();
    (ram, root, alias)
}

fn any_random() -> impl Strategy<Value = u64> {
    let range = END - ROOT_STEP;
    prop_oneof![
        any::<u64>(),
        Just(u64::MAX),
        // Where the addresses of choice end and start again.
        (0..u64::MAX / range, 0..3u64).prop_map(move |(times, by)| times * range + by),
        (1..u64::MAX / range, 0..3u64).prop_map(move |(times, by)| times * range - by),
    ]
}

#[test]
fn pages_mapped_after_the_alias_are_in_its_tree_too() {
    let (ram, root, alias) = tree_and_alias();
    assert_eq!(ram.pages(alias.root()), ram.pages(root));
    // In tables that were there, and in new ones below each of them.
    for start in [8 * PAGE, 8 * LARGE_PAGE, 1 << 30, ROOT_STEP - PAGE] {
        map(
            &ram,
            root,
            (start, start + PAGE),
            Some(Rights::Constants),
            Sizes::Any,
        )
        .unwrap();
        assert_eq!(
            page_at(&ram, alias.root(), start),
            Some(small(start, Rights::Constants))
        );
    }
    set(&ram, root, PAGE, None).unwrap();
    assert_eq!(ram.pages(alias.root()), ram.pages(root));
}

#[test]
fn an_alias_of_a_tree_without_pages_has_those_that_come() {
    let ram = Ram::new(8);
    let root = plant(&ram).unwrap();
    let alias = Alias::new(&ram, plant(&ram).unwrap(), root).unwrap();
    assert_eq!(ram.pages(alias.root()), []);
    map(&ram, root, (0, PAGE), Some(Rights::Code), Sizes::Small).unwrap();
    assert_eq!(ram.pages(alias.root()), [small(0, Rights::Code)]);
}

#[test]
fn an_alias_does_not_have_what_is_above_the_shared_entry() {
    let (ram, root, alias) = tree_and_alias();
    let below = ram.pages(root);
    map(
        &ram,
        root,
        (ROOT_STEP, ROOT_STEP + PAGE),
        Some(Rights::Code),
        Sizes::Small,
    )
    .unwrap();
    assert_eq!(ram.pages(alias.root()), below);
}

#[test]
fn an_alias_without_memory_for_all_its_tables_is_an_error() {
    // The two roots, the first table below the tree's, and three of the alias's.
    let needed = 2 * ROOT_BYTES + 4 * TABLE_BYTES;
    for bytes in (ROOT_BYTES..needed).step_by(TABLE_BYTES as usize) {
        let ram = Ram::of(bytes);
        let root = plant(&ram).unwrap();
        let alias = plant(&ram).and_then(|own| Alias::new(&ram, own, root));
        assert_eq!(alias.unwrap_err(), RadixError::OutOfTables);
    }
    let ram = Ram::of(needed);
    let root = plant(&ram).unwrap();
    let own = plant(&ram).unwrap();
    assert!(Alias::new(&ram, own, root).is_ok());
}

#[test]
fn the_number_of_choice_says_the_address() {
    let (ram, _, alias) = tree_and_alias();
    for (random, address) in [
        (0, ROOT_STEP),
        (1, ROOT_STEP),
        (2, 2 * ROOT_STEP),
        (ROOT_ENTRIES - 1, END - ROOT_STEP),
        (ROOT_ENTRIES, ROOT_STEP + PAGE),
        (511 * ROOT_ENTRIES + 7, 7 * ROOT_STEP + 511 * PAGE),
        (512 * ROOT_ENTRIES, ROOT_STEP),
    ] {
        let opened = alias.open(&ram, PAGE, random);
        assert_eq!(opened.address, address);
        alias.close(&ram, opened);
    }
}

proptest! {
    #[test]
    fn an_open_page_is_at_one_address_of_the_alias_alone(
        opens in prop::collection::vec((any_random(), 0..1u64 << 40), 1..4)
    ) {
        let (ram, root, alias) = tree_and_alias();
        let shared = ram.pages(root);
        let closed = ram.contents();
        for (random, number) in opens {
            let memory = number * PAGE;
            let opened = alias.open(&ram, memory, random);
            let Opened { address } = opened;
            prop_assert!((ROOT_STEP..END).contains(&address) && address % PAGE == 0);
            let page = Page { memory, ..small(address, Rights::Data) };
            prop_assert_eq!(page_at(&ram, alias.root(), address), Some(page));
            let all: Vec<_> = shared.iter().copied().chain([page]).collect();
            prop_assert_eq!(ram.pages(alias.root()), all);
            for offset in [0, PAGE - 1] {
                let found = translate(&ram, process_entry(alias.root()), address + offset);
                prop_assert_eq!(found, Some((memory + offset, low_bits(Rights::Data))));
            }
            prop_assert_eq!(ram.pages(root), shared.clone());
            prop_assert_eq!(page_at(&ram, root, address), None);
            alias.close(&ram, opened);
            // So the alias's own tables are as `Alias::new` has made them.
            prop_assert!(ram.contents() == closed);
        }
        prop_assert_eq!(ram.pages(alias.root()), shared);
        let own = (1..ROOT_ENTRIES).map(|index| ram.load(alias.root() + 8 * index));
        prop_assert!(own.into_iter().all(|entry| entry == 0));
    }

    #[test]
    fn no_address_of_memory_adds_to_the_rights(memory in any::<u64>(), random in any_random()) {
        let (ram, _, alias) = tree_and_alias();
        let Opened { address } = alias.open(&ram, memory, random);
        let (_, low) = translate(&ram, process_entry(alias.root()), address).unwrap();
        prop_assert_eq!(low, low_bits(Rights::Data));
        let page = page_at(&ram, alias.root(), address).unwrap();
        prop_assert_eq!(page.access, Access::from(Rights::Data));
    }
}
