use super::*;
use crate::radix::{
    Change, LARGE_PAGE, Memory, ROOT_BYTES, ROOT_ENTRIES, ROOT_STEP, RadixError, Sizes,
    TABLE_BYTES, map, page_at, plant, process_entry, set, small_slot,
};
use ram::{END, Ram, small};
use std::{vec, vec::Vec};

#[test]
fn the_shape_is_the_one_that_all_processors_take() {
    assert_eq!((ROOT_BYTES, TABLE_BYTES), (0x1_0000, 0x1000));
    assert_eq!((ROOT_ENTRIES, ROOT_STEP), (0x2000, 1 << 39));
    assert_eq!((PAGE, LARGE_PAGE), (0x1000, 0x20_0000));
    // Addresses of 52 bits are 31 and 0b10_101 of them; the root has 2^13 entries.
    assert_eq!(process_entry(0x1234_0000), 0x4000_0000_1234_00ad);
}

#[test]
fn entries_are_as_the_isa_says_bit_for_bit() {
    const START: u64 = 0x4020_0000;
    for (rights, leaf) in [
        (Rights::Code, 0xc000_0000_4020_018d),
        (Rights::Constants, 0xc000_0000_4020_018c),
        (Rights::Data, 0xc000_0000_4020_018e),
    ] {
        for sizes in [Sizes::Small, Sizes::Any] {
            let ram = Ram::new(3);
            let root = plant(&ram).unwrap();
            map(&ram, root, (START, START + LARGE_PAGE), Some(rights), sizes).unwrap();
            // Tables are made in the order of their levels. Each has 2^9 entries.
            let tables = [0, 1, 2].map(|number| root + ROOT_BYTES + number * TABLE_BYTES);
            assert_eq!(ram.load(root), 0x8000_0000_0000_0009 | tables[0]);
            assert_eq!(ram.load(tables[0] + 8), 0x8000_0000_0000_0009 | tables[1]);
            let slot = tables[1] + 8;
            if sizes == Sizes::Any {
                assert_eq!(ram.load(slot), leaf);
                continue;
            }
            assert_eq!(ram.load(slot), 0x8000_0000_0000_0009 | tables[2]);
            assert_eq!(ram.load(tables[2]), leaf);
            assert_eq!(ram.load(tables[2] + 511 * 8), leaf + 511 * PAGE);
            assert_eq!(small_slot(&ram, root, START + PAGE), Ok(tables[2] + 8));
        }
    }
}

#[test]
fn what_can_not_be_mapped_is_refused_in_words_and_changes_nothing() {
    let ram = Ram::new(8);
    let root = plant(&ram).unwrap();
    let rights = Some(Rights::Data);
    map(&ram, root, (LARGE_PAGE, 2 * LARGE_PAGE), rights, Sizes::Any).unwrap();
    map(&ram, root, (0, PAGE), None, Sizes::Small).unwrap();
    let before = ram.contents();
    let refused = |range, sizes| {
        map(&ram, root, range, rights, sizes)
            .unwrap_err()
            .to_string()
    };
    for sizes in [Sizes::Small, Sizes::Any] {
        for (range, sentence) in [
            (
                (1, PAGE),
                "0x1..0x1000 does not consist of pages of 4096 bytes",
            ),
            (
                (0, 0x1800),
                "0x0..0x1800 does not consist of pages of 4096 bytes",
            ),
            (
                (PAGE, 0),
                "0x1000..0x0 does not consist of pages of 4096 bytes",
            ),
            (
                (END - PAGE, END + PAGE),
                "no tree translates up to 0x10000000001000, only up to 0x10000000000000",
            ),
            (
                (0, 1_u64.wrapping_neg() & !(PAGE - 1)),
                "no tree translates up to 0xfffffffffffff000, only up to 0x10000000000000",
            ),
            (
                (LARGE_PAGE + PAGE, LARGE_PAGE + 2 * PAGE),
                "a large page or a table of small ones is at 0x201000",
            ),
        ] {
            assert_eq!(refused(range, sizes), sentence);
        }
        assert_eq!(
            map(&ram, root, (PAGE, PAGE), rights, sizes),
            Ok(()),
            "no page"
        );
    }
    // A table of small pages stays, also one without any, and so does a large page.
    for (start, address) in [(0, "0x0"), (LARGE_PAGE, "0x200000")] {
        assert_eq!(
            refused((start, start + LARGE_PAGE), Sizes::Any),
            std::format!("a large page or a table of small ones is at {address}")
        );
    }
    assert_eq!(ram.contents(), before);
}

#[test]
fn rights_that_can_not_be_set_are_refused_in_words_and_change_nothing() {
    let ram = Ram::new(8);
    let root = plant(&ram).unwrap();
    map(&ram, root, (0, LARGE_PAGE), Some(Rights::Code), Sizes::Any).unwrap();
    let before = ram.contents();
    for (address, sentence) in [
        (PAGE, "a large page or a table of small ones is at 0x1000"),
        (LARGE_PAGE, "no table of small pages is at 0x200000"),
        (1 << 30, "no table of small pages is at 0x40000000"),
        (ROOT_STEP, "no table of small pages is at 0x8000000000"),
        // Without the bits that no level has, it would be in the large page.
        (END, "no table of small pages is at 0x10000000000000"),
        (8, "0x8..0x8 does not consist of pages of 4096 bytes"),
    ] {
        for rights in [None, Some(Rights::Data)] {
            let refusal = set(&ram, root, address, rights).unwrap_err();
            assert_eq!(refusal.to_string(), sentence);
        }
    }
    assert_eq!(ram.contents(), before);
}

#[test]
fn a_change_is_one_to_less_exactly_where_a_page_was() {
    let ram = Ram::new(8);
    let root = plant(&ram).unwrap();
    map(&ram, root, (0, PAGE), None, Sizes::Small).unwrap();
    let set = |rights| set(&ram, root, PAGE, rights).unwrap();
    assert_eq!(set(None), Change::More);
    assert_eq!(set(Some(Rights::Constants)), Change::More);
    // Also where the new rights allow as much as the old ones.
    assert_eq!(set(Some(Rights::Constants)), Change::Less);
    assert_eq!(set(Some(Rights::Data)), Change::Less);
    assert_eq!(ram.pages(root), [small(PAGE, Rights::Data)]);
    assert_eq!(set(None), Change::Less);
    assert_eq!(ram.pages(root), []);
}

#[test]
fn the_last_page_of_all_addresses_can_be_mapped() {
    let ram = Ram::new(8);
    let root = plant(&ram).unwrap();
    map(
        &ram,
        root,
        (END - PAGE, END),
        Some(Rights::Code),
        Sizes::Small,
    )
    .unwrap();
    let page = small(END - PAGE, Rights::Code);
    assert_eq!(page_at(&ram, root, END - 1), Some(page));
    assert_eq!(ram.pages(root), [page]);
}

#[test]
fn addresses_beyond_the_tree_have_no_page() {
    let ram = Ram::new(8);
    let root = plant(&ram).unwrap();
    map(&ram, root, (0, 2 * PAGE), Some(Rights::Code), Sizes::Small).unwrap();
    for high in [END, 0xc << 60, u64::MAX << 52] {
        assert_eq!(page_at(&ram, root, high | PAGE), None);
        let address = high | PAGE;
        assert_eq!(
            small_slot(&ram, root, address),
            Err(RadixError::NoTable { address })
        );
    }
}

#[test]
fn without_memory_for_a_table_only_the_pages_before_it_are_mapped() {
    assert_eq!(
        plant(&Ram::of(ROOT_BYTES - 8)),
        Err(RadixError::OutOfTables)
    );
    // Two large pages with a small one on each side, over the end of a table of the second level.
    let range = ((1 << 30) - LARGE_PAGE - PAGE, (1 << 30) + LARGE_PAGE + PAGE);
    let rights = Some(Rights::Constants);
    let complete = Ram::new(8);
    let root = plant(&complete).unwrap();
    map(&complete, root, range, rights, Sizes::Any).unwrap();
    let wanted = complete.pages(root);
    assert_eq!(wanted.len(), 4);
    for (tables, mapped) in [(0, 0), (2, 0), (3, 2), (4, 3), (5, 4)] {
        let ram = Ram::of(ROOT_BYTES + tables * TABLE_BYTES);
        let root = plant(&ram).unwrap();
        let result = map(&ram, root, range, rights, Sizes::Any);
        assert_eq!(result.is_ok(), tables == 5);
        assert!(result.is_ok() || result == Err(RadixError::OutOfTables));
        assert_eq!(ram.pages(root), wanted[..mapped]);
    }
    assert_eq!(
        RadixError::OutOfTables.to_string(),
        "no memory for another page table"
    );
}

#[test]
fn large_pages_are_exactly_where_they_fit() {
    for (start, pages, sizes) in [
        // In pages: where it starts, how many, and the sizes of what must be there.
        (0, 512, vec![512]),
        (0, 511, vec![1; 511]),
        (1, 512, vec![1; 512]),
        (511, 514, [vec![1], vec![512], vec![1]].concat()),
        (512, 1024, vec![512, 512]),
        (512, 1025, vec![512, 512, 1]),
    ] {
        let ram = Ram::new(8);
        let root = plant(&ram).unwrap();
        let range = (start * PAGE, (start + pages) * PAGE);
        map(&ram, root, range, Some(Rights::Data), Sizes::Any).unwrap();
        let found: Vec<_> = ram
            .pages(root)
            .iter()
            .map(|page| page.size / PAGE)
            .collect();
        assert_eq!(found, sizes);
        let ram = Ram::new(8);
        let root = plant(&ram).unwrap();
        map(&ram, root, range, Some(Rights::Data), Sizes::Small).unwrap();
        assert!(ram.pages(root).iter().all(|page| page.size == PAGE));
        assert_eq!(ram.pages(root).len() as u64, pages);
    }
}

proptest! {
    /// Also of entries that are not the crate's own.
    #[test]
    fn a_leaf_allows_what_its_bits_say(bits in any::<u64>()) {
        let ram = Ram::new(8);
        let root = plant(&ram).unwrap();
        map(&ram, root, (0, PAGE), None, Sizes::Small).unwrap();
        let slot = small_slot(&ram, root, 0).unwrap();
        ram.store(slot, bits | 3 << 62);
        let page = page_at(&ram, root, 0).unwrap();
        prop_assert_eq!(page.memory, bits & 0x01ff_ffff_ffff_f000);
        prop_assert_eq!(page.access, Access {
            // What may be written may be read.
            read: bits & 6 != 0,
            write: bits & 2 != 0,
            execute: bits & 1 != 0,
        });
        prop_assert_eq!(ram.pages(root), [page]);
    }
}
