use std::vec::Vec;

use crate::{NAMED, ORDER, OutOfOrder, Pairs, name_of, number_of};

/// Classes without a name.
const A: u8 = NAMED as u8;
const B: u8 = A + 1;
const C: u8 = A + 2;

#[test]
fn each_name_has_a_number_of_its_own() {
    for number in 0..NAMED as u8 {
        let name = name_of(number).unwrap();
        assert_eq!(number_of(name), Some(number), "{name}");
    }
    assert_eq!(name_of(A), None);
    assert_eq!(number_of("no::LOCK"), None);
}

/// The first class of each row.
fn firsts() -> impl Iterator<Item = u8> {
    ORDER.iter().map(|row| number_of(row.locks[0]).unwrap())
}

#[test]
fn named_locks_are_taken_from_top_to_bottom() {
    for (row, one) in firsts().enumerate() {
        for (other_row, other) in firsts().enumerate().filter(|(row, _)| !ORDER[*row].nests) {
            let result = Pairs::new().see(one, other);
            let expected = match () {
                () if row < other_row => Ok(()),
                () if row == other_row => Err(OutOfOrder::Alike),
                () => Err(OutOfOrder::Row),
            };
            assert_eq!(result, expected, "row {row}, then {other_row}");
        }
    }
}

#[test]
fn locks_of_one_row_are_not_taken_under_each_other() {
    let row = ORDER.iter().find(|row| row.locks.len() > 1).unwrap();
    let [one, other] = [0, 1].map(|place| number_of(row.locks[place]).unwrap());
    assert_eq!(Pairs::new().see(one, other), Err(OutOfOrder::Row));
    assert_eq!(Pairs::new().see(other, one), Err(OutOfOrder::Row));
}

#[test]
fn locks_that_nest_do() {
    let row = ORDER.iter().find(|row| row.nests).unwrap();
    let one = number_of(row.locks[0]).unwrap();
    assert_eq!(Pairs::new().see(one, one), Ok(()));
}

#[test]
fn others_keep_to_the_order_that_was_seen_first() {
    let pairs = Pairs::new();
    assert_eq!(pairs.see(A, B), Ok(()));
    assert_eq!(pairs.see(B, C), Ok(()));
    assert_eq!(pairs.see(A, C), Ok(()));
    assert_eq!(pairs.see(C, A), Err(OutOfOrder::Cycle));
    assert_eq!(pairs.see(B, B), Err(OutOfOrder::Alike));
    assert_eq!(Vec::from_iter(pairs.seen()).len(), 5);
}

#[test]
fn a_cycle_may_go_through_a_named_lock() {
    let pairs = Pairs::new();
    assert_eq!(pairs.see(0, A), Ok(()));
    assert_eq!(pairs.see(A, B), Ok(()));
    assert_eq!(pairs.see(B, 0), Err(OutOfOrder::Cycle));
}

#[test]
fn what_is_wrong_is_said_once() {
    let pairs = Pairs::new();
    assert_eq!(pairs.see(A, A), Err(OutOfOrder::Alike));
    assert_eq!(pairs.see(A, A), Ok(()));
}
