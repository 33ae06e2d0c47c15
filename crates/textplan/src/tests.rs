use super::*;
use proptest::prelude::*;
use std::string::ToString;
use std::vec::Vec;

/// Where the model's memory starts. Words are at multiples of 4, rules at any.
const BASE: u64 = 0x40_0000;
const WORDS: usize = 16;

fn range(start: u64, end: u64) -> Range {
    Range { start, end }
}

fn change(address: u64, expected: u32, new: u32) -> Change {
    Change {
        address,
        expected,
        new,
    }
}

/// A memory in which every word holds its own number, and its writer.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Memory([u32; WORDS]);

impl Memory {
    fn new() -> Self {
        Self(core::array::from_fn(|index| index as u32))
    }

    fn read(&self, address: u64) -> u32 {
        self.0[(address - BASE) as usize / 4]
    }

    fn carry_out(&mut self, changes: &[Change], rules: &Rules<'_>) -> Result<(), PlanError> {
        check(changes, rules, |address| self.read(address))?;
        assert_eq!(
            super::carry_out(changes, |address, word| self.store(address, word)),
            Ok(())
        );
        Ok(())
    }

    fn store(&mut self, address: u64, word: u32) -> u32 {
        self.0[(address - BASE) as usize / 4] = word;
        self.read(address)
    }
}

const TEXT: &[Range] = &[Range {
    start: BASE,
    end: BASE + 4 * WORDS as u64,
}];

fn rules<'a>(patchable: &'a [Range], forbidden: &'a [Range]) -> Rules<'a> {
    Rules::new(patchable, forbidden).unwrap()
}

#[test]
fn a_good_plan_changes_its_words_and_no_other() {
    let mut memory = Memory::new();
    let plan = [change(BASE, 0, 100), change(BASE + 12, 3, 103)];
    memory.carry_out(&plan, &rules(TEXT, &[])).unwrap();
    let mut wanted = Memory::new();
    (wanted.0[0], wanted.0[3]) = (100, 103);
    assert_eq!(memory, wanted);
    assert_eq!(memory.carry_out(&[], &rules(TEXT, &[])), Ok(()));
}

#[test]
fn every_refusal_is_a_sentence_and_changes_nothing() {
    let good = change(BASE, 0, 9);
    let end = BASE + 4 * WORDS as u64;
    let forbidden = [range(BASE + 7, BASE + 8)];
    let rules = rules(TEXT, &forbidden);
    for (second, sentence) in [
        (
            change(BASE - 4, 0, 9),
            "changes must ascend by address: 0x3ffffc comes after 0x400000",
        ),
        (good, "the word at 0x400000 would be changed twice"),
        (
            change(BASE + 2, 0, 9),
            "no instruction at 0x400002: not a multiple of 4",
        ),
        (
            change(end, 0, 9),
            "the word at 0x400040 is not in patchable code",
        ),
        (
            change(BASE + 4, 1, 9),
            "the word at 0x400004 is in 0x400007..0x400008: never to be changed",
        ),
        (
            change(BASE + 8, 0x6000_0000, 9),
            "the word at 0x400008 is 0x00000002, expected 0x60000000",
        ),
    ] {
        let mut memory = Memory::new();
        let refusal = memory.carry_out(&[good, second], &rules).unwrap_err();
        assert_eq!(refusal.to_string(), sentence);
        assert_eq!(refusal.address(), Some(second.address));
        assert_eq!(memory, Memory::new());
    }
}

#[test]
fn rules_out_of_order_are_refused() {
    let ranges = [range(8, 12), range(4, 20)];
    let good = &[range(4, 20)][..];
    for (patchable, forbidden) in [(&ranges[..], good), (good, &ranges[..])] {
        let refusal = Rules::new(patchable, forbidden).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "ranges of the rules must ascend by start: 0x4..0x14 comes after 0x8..0xc"
        );
    }
}

#[test]
fn a_word_must_be_inside_with_all_its_bytes() {
    let inside = |ranges: &[Range]| check(&[change(8, 0, 0)], &rules(ranges, &[]), |_| 0).is_ok();
    assert!(inside(&[range(8, 12)]));
    assert!(
        inside(&[range(0, 9), range(4, 12)]),
        "the second has it all"
    );
    for outside in [range(9, 12), range(8, 11), range(12, 16), range(4, 8)] {
        assert!(!inside(&[outside]), "{outside}");
    }
    // What no single range has is not looked for in two.
    assert!(!inside(&[range(4, 10), range(10, 16)]));
}

#[test]
fn the_last_words_of_the_address_space_do_not_overflow() {
    let all = [range(0, u64::MAX)];
    let rules = rules(&all, &[]);
    let at = |address| check(&[change(address, 0, 0)], &rules, |_| 0);
    assert_eq!(at(u64::MAX - 7), Ok(()));
    let address = u64::MAX - 3;
    assert_eq!(at(address), Err(PlanError::OutsideText { address }));
    let address = u64::MAX;
    assert_eq!(at(address), Err(PlanError::Misaligned { address }));
}

/// Memory that keeps no word at 12: the write stops there, whatever is there instead.
#[test]
fn a_word_that_does_not_arrive_is_named_and_nothing_is_written_behind_it() {
    let plan = [
        change(8, 0, 1),
        change(12, 0x6000_0000, 0x4800_0001),
        change(16, 0, 2),
    ];
    for (found, sentence) in [
        (
            0x6000_0000,
            "the word at 0xc reads back as 0x60000000, expected 0x48000001",
        ),
        (
            0x4800_0000,
            "the word at 0xc reads back as 0x48000000, expected 0x48000001",
        ),
    ] {
        let mut stored = Vec::new();
        let written = super::carry_out(&plan, |address, word| {
            stored.push((address, word));
            if address == 12 { found } else { word }
        });
        assert_eq!(written.unwrap_err().to_string(), sentence);
        assert_eq!(stored, [(8, 1), (12, 0x4800_0001)]);
    }
}

/// What `check` promises, by looking at every byte of every range each time.
fn naive(changes: &[Change], rules: &Rules<'_>, memory: &Memory) -> Result<(), PlanError> {
    for (index, &change) in changes.iter().enumerate() {
        let Change {
            address, expected, ..
        } = change;
        let before = index.checked_sub(1).map(|index| changes[index].address);
        match before {
            Some(before) if before > address => {
                return Err(PlanError::Unsorted { before, address });
            }
            Some(before) if before == address => return Err(PlanError::Overlap { address }),
            _ => {}
        }
        if address % 4 != 0 {
            return Err(PlanError::Misaligned { address });
        }
        let holds = |range: &Range, byte| (range.start..range.end).contains(&byte);
        let all = |range: &&Range| (address..address + 4).all(|byte| holds(range, byte));
        if !rules.patchable.iter().any(|range| all(&range)) {
            return Err(PlanError::OutsideText { address });
        }
        let any = |range: &&Range| (address..address + 4).any(|byte| holds(range, byte));
        if let Some(&range) = rules.forbidden.iter().find(any) {
            return Err(PlanError::Forbidden { address, range });
        }
        let found = memory.read(address);
        if found != expected {
            return Err(PlanError::Mismatch {
                address,
                found,
                expected,
            });
        }
    }
    Ok(())
}

/// Ranges inside the memory: some empty, some inverted, some overlapping.
fn any_ranges(sizes: core::ops::Range<i64>) -> impl Strategy<Value = Vec<Range>> {
    let end = BASE + 4 * WORDS as u64;
    let range = (BASE..end, sizes).prop_map(move |(start, size)| Range {
        start,
        end: start.saturating_add_signed(size).min(end),
    });
    prop::collection::vec(range, 0..5).prop_map(|mut ranges| {
        ranges.sort_by_key(|range| range.start);
        ranges
    })
}

/// Mostly ascending words of the memory with what they hold, so that plans are
/// often good, and now and then something else.
fn any_plan() -> impl Strategy<Value = Vec<Change>> {
    let end = 4 * WORDS as u64;
    let step = (
        prop_oneof![9 => 1..4u64, 1 => Just(0), 1 => 0..WORDS as u64],
        prop_oneof![20 => Just(0u64), 1 => 1..4u64],
        prop_oneof![20 => Just(0u32), 1 => Just(1)],
        any::<u32>(),
    );
    prop::collection::vec(step, 0..8).prop_map(move |steps| {
        let mut word = 0;
        let change = |(step, off, wrong, new)| {
            word = (word + step) % WORDS as u64;
            let address = BASE + (4 * word + off) % end;
            change(address, word as u32 + wrong, new)
        };
        steps.into_iter().map(change).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn check_does_what_a_look_at_every_byte_does(
        plan in any_plan(),
        patchable in prop_oneof![any_ranges(-4..64), Just(TEXT.to_vec())],
        forbidden in any_ranges(-4..8),
    ) {
        let rules = rules(&patchable, &forbidden);
        let mut memory = Memory::new();
        let expected = naive(&plan, &rules, &memory);

        let mut reads = Vec::new();
        let found = check(&plan, &rules, |address| {
            reads.push(address);
            memory.read(address)
        });
        prop_assert_eq!(found, expected);
        // Every change up to the one at fault, which is read only for its word.
        let good = match expected {
            Ok(()) => plan.len(),
            Err(PlanError::Mismatch { address, .. }) => reads.iter().position(|a| *a == address).unwrap() + 1,
            Err(_) => reads.len(),
        };
        prop_assert_eq!(&reads, &plan[..good].iter().map(|c| c.address).collect::<Vec<_>>());
        for (index, address) in reads.iter().enumerate() {
            let passed = naive(&plan[..=index], &rules, &memory);
            let compared = matches!(passed, Err(PlanError::Mismatch { address: a, .. }) if a == *address);
            prop_assert!(passed.is_ok() || compared, "read {:#x}: {:?}", address, passed);
        }

        let before = memory.clone();
        prop_assert_eq!(memory.carry_out(&plan, &rules), expected);
        for (index, &word) in memory.0.iter().enumerate() {
            let planned = plan.iter().find(|one| one.address == BASE + 4 * index as u64);
            let planned = planned.filter(|_| expected.is_ok()).map(|one| one.new);
            prop_assert_eq!(word, planned.unwrap_or(before.0[index]));
        }
    }
}
