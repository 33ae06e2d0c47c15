use super::*;
use crate::hash::{ENTRY_BYTES, Entry, GROUP, SEGMENT, Segment, protection};
use std::vec;

/// The smallest table: 256 KiB.
const FEWEST: u64 = 1 << 11;
const FIRST: Segment = Segment {
    start: 0,
    number: 1,
};

const VALID: u64 = 1;
const SECONDARY: u64 = 2;
const LARGE: u64 = 4;

fn any_segment() -> impl Strategy<Value = Segment> {
    let number = prop_oneof![1..4u64, 1..1u64 << 38, Just((1 << 38) - 1)];
    (0..1u64 << 24, number).prop_map(|(start, number)| Segment {
        start: start * SEGMENT,
        number,
    })
}

/// Pages of a segment, by number.
fn any_page() -> impl Strategy<Value = u64> {
    const PAGES: u64 = SEGMENT / PAGE;
    prop_oneof![0..PAGES, 0..4096u64, PAGES - 4096..PAGES]
}

fn any_groups() -> impl Strategy<Value = u64> {
    (11..=39u32).prop_map(|bits| 1 << bits)
}

/// A virtual address of 78 bits and what ISA 2.07 makes of it (Book III-S 5.7.7), which counts bits
/// from the highest: nothing here is shared with the code under test.
struct Virtual(u128);

impl Virtual {
    fn new(segment: Segment, address: u64) -> Self {
        Self(u128::from(segment.number) << 40 | u128::from(address - segment.start))
    }

    fn bits(&self, first: u32, last: u32) -> u64 {
        (self.0 >> (77 - last) & ((1 << (last - first + 1)) - 1)) as u64
    }

    /// Of a segment of 1 TiB, with pages of 2^12 bytes.
    fn hash(&self) -> u64 {
        self.bits(24, 37) << 25 ^ self.bits(0, 37) ^ self.bits(38, 77 - 12)
    }

    /// The fields B, in bits 0 and 1, and AVPN, in bits 2 to 56.
    fn first_doubleword(&self) -> u64 {
        1 << (63 - 1) | self.bits(0, 54) << (63 - 56)
    }
}

#[test]
fn an_entry_and_its_group_are_as_the_isa_says() {
    // The page's number is 0x400: 1 ^ 1 << 25 ^ 0x400 is 0x200_0401, of which 15 bits count.
    let groups = 1 << 15;
    assert_eq!(FIRST.group(0x40_0000, groups), 0x401 * 8);
    assert_eq!(FIRST.virtual_page(0x40_0000), 0x4000_0000_0100_0000);
    assert_eq!(
        FIRST.entry(0x40_0000, 0x40_0000, Rights::Code),
        Entry {
            virtual_page: 0x4000_0000_0100_0001,
            real_page: 0x40_0193,
        }
    );
    // The last page: number 0xfff_ffff, of which 0x1_ffff is above the group's bits.
    let last = SEGMENT - PAGE;
    assert_eq!(FIRST.group(last, groups), 0x7ffe * 8);
    assert_eq!(FIRST.virtual_page(last), 0x4000_0000_01ff_ff80);
    // A number with a bit that only the shifted part of the hash has, in a table large enough for it.
    let high = Segment {
        start: SEGMENT,
        number: 0x2003,
    };
    assert_eq!(high.group(SEGMENT + 0x80_0000, 1 << 39), 0x40_0600_2803 * 8);
    assert_eq!(
        high.virtual_page(SEGMENT + 0x80_0000),
        0x4000_0020_0300_0080
    );
}

#[test]
fn a_table_has_groups_of_eight_entries_of_two_doublewords() {
    assert_eq!(GROUP * ENTRY_BYTES, 128);
    assert_eq!(size_of::<Entry>() as u64, ENTRY_BYTES);
}

#[test]
fn protection_is_as_the_isa_says_with_keys_at_zero() {
    assert_eq!(protection(Rights::Code), 0b011);
    assert_eq!(protection(Rights::Constants), 0b111);
    assert_eq!(protection(Rights::Data), 0b100);
}

#[test]
fn a_processor_takes_and_loses_a_segment_by_the_fields_of_the_isa() {
    let segment = Segment {
        start: 0xc0_0000 << 40,
        number: 0x25_1234_5678,
    };
    // RS: B is 1 in bits 0 and 1, the number ends at bit 39, and no key is set. RB: V is bit 36.
    let first = 0x6512_3456_7800_0000;
    assert_eq!(segment.lookaside(0), (first, 0xc000_0000_0800_0000));
    assert_eq!(segment.lookaside(31), (first, 0xc000_0000_0800_001f));
    // RB of slbie: B is 1 in bits 37 and 38, and the class, bit 36, is zero as it was in RS.
    assert_eq!(segment.forget(), 0xc000_0000_0200_0000);
}

#[test]
fn pages_that_follow_each_other_fill_all_groups_evenly() {
    const TIMES: u64 = 3;
    for groups in [FEWEST, 1 << 13] {
        for first in [0, 0x40_0000, 0x1234_5000] {
            let mut used = vec![0; groups as usize];
            for page in 0..TIMES * groups {
                let index = FIRST.group(first + page * PAGE, groups);
                assert_eq!(index % GROUP, 0);
                used[(index / GROUP) as usize] += 1;
            }
            assert!(used.iter().all(|&entries| entries == TIMES));
        }
    }
}

proptest! {
    #[test]
    fn any_entry_is_as_the_isa_says(
        segment in any_segment(), page in any_page(), offset in 0..PAGE, groups in any_groups(),
        memory in 0..1u64 << 48, rights in any_rights()
    ) {
        let address = segment.start + page * PAGE;
        let wanted = Virtual::new(segment, address);
        prop_assert_eq!(segment.group(address, groups), wanted.hash() % groups * 8);
        prop_assert_eq!(segment.virtual_page(address), wanted.first_doubleword());
        let entry = segment.entry(address, memory * PAGE, rights);
        prop_assert_eq!(entry.virtual_page, wanted.first_doubleword() | VALID);
        prop_assert_eq!(entry.real_page, (memory * PAGE) | 0x190 | protection(rights));
        // An address in the page says the same as its start.
        prop_assert_eq!(segment.group(address + offset, groups), segment.group(address, groups));
        prop_assert_eq!(segment.entry(address + offset, memory * PAGE, rights), entry);
    }

    #[test]
    fn an_entry_is_read_as_it_was_written(
        segment in any_segment(), page in any_page(), groups in any_groups(), place in 0..GROUP,
        memory in 0..1u64 << 48, rights in any_rights()
    ) {
        let address = segment.start + page * PAGE;
        let entry = segment.entry(address, memory * PAGE, rights);
        let found = segment.page(entry, segment.group(address, groups) + place);
        let access = Access::from(rights);
        prop_assert_eq!(found, Some(Page { address, size: PAGE, memory: memory * PAGE, access }));
    }

    /// So the entry and its group say together which page it is.
    #[test]
    fn pages_with_the_same_virtual_page_are_in_different_groups(
        segment in any_segment(), page in any_page(), groups in any_groups()
    ) {
        let address = |page| segment.start + page * PAGE;
        for other in (1..FEWEST).map(|bits| page ^ bits) {
            prop_assert_eq!(segment.virtual_page(address(other)), segment.virtual_page(address(page)));
            prop_assert_ne!(segment.group(address(other), groups), segment.group(address(page), groups));
        }
        let other = page ^ FEWEST;
        prop_assert_ne!(segment.virtual_page(address(other)), segment.virtual_page(address(page)));
    }

    #[test]
    fn an_entry_that_is_not_one_of_the_segments_is_no_page(
        segment in any_segment(), other in any_segment(), page in any_page(), size in 0..4u64
    ) {
        let address = segment.start + page * PAGE;
        let entry = segment.entry(address, address & 0xffff_f000, Rights::Data);
        let index = segment.group(address, FEWEST);
        let with = |virtual_page| Entry { virtual_page, ..entry };
        prop_assert_eq!(segment.page(Entry::default(), index), None);
        prop_assert_eq!(segment.page(with(entry.virtual_page & !VALID), index), None);
        prop_assert_eq!(segment.page(with(entry.virtual_page | LARGE), index), None);
        prop_assert_eq!(segment.page(with(entry.virtual_page | SECONDARY), index), None);
        // Of the sizes of segments, 1 is the one of 1 TiB.
        let sized = with(entry.virtual_page & !(3 << 62) | size << 62);
        prop_assert_eq!(segment.page(sized, index).is_some(), size == 1);
        prop_assert_eq!(other.page(entry, index).is_some(), other.number == segment.number);
        for bit in 0..38 {
            let other = Segment { number: segment.number ^ 1 << bit, ..segment };
            prop_assert_eq!(other.page(entry, index), None);
        }
    }

    #[test]
    fn no_address_of_memory_adds_to_the_rights(memory in any::<u64>(), rights in any_rights()) {
        let entry = FIRST.entry(0, memory, rights);
        prop_assert_eq!(entry.real_page & !0x0fff_ffff_ffff_f000, 0x190 | protection(rights));
        let page = FIRST.page(entry, FIRST.group(0, FEWEST)).unwrap();
        prop_assert_eq!(page.access, Access::from(rights));
    }

    /// Whatever the hypervisor says is in the table.
    #[test]
    fn any_two_doublewords_are_a_page_of_the_segment_or_none(
        segment in any_segment(), virtual_page in any::<u64>(), real_page in any::<u64>(),
        is_of_segment in any::<bool>(), index in any::<u64>()
    ) {
        let own = segment.virtual_page(segment.start);
        let virtual_page = if is_of_segment {
            (virtual_page % (1 << 24)) & !(LARGE | SECONDARY) | own | VALID
        } else {
            virtual_page
        };
        let page = segment.page(Entry { virtual_page, real_page }, index);
        prop_assert!(page.is_some() || !is_of_segment);
        if let Some(page) = page {
            prop_assert!((segment.start..=segment.start + (SEGMENT - PAGE)).contains(&page.address));
            prop_assert_eq!(page.address % PAGE, 0);
            prop_assert_eq!(page.memory, real_page & 0x0fff_ffff_ffff_f000);
            prop_assert!(page.access.read);
            prop_assert_eq!(page.access.write, real_page & 3 != 3);
            prop_assert_eq!(page.access.execute, real_page & 4 == 0);
        }
    }
}
