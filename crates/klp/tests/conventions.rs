//! Return conventions, and what each variant asks for.

use klp::{Convention, VARIANT_CONVENTIONS};

#[test]
fn names_and_numbers_lead_back() {
    for one in Convention::ALL {
        assert_eq!(Convention::from_number(one as u32), Some(one));
        assert_eq!(Convention::from_name(one.name()), Some(one));
    }
    let behind = Convention::ALL.len() as u32;
    assert_eq!(Convention::from_number(behind), None);
    assert_eq!(Convention::from_name(""), None);
}

#[test]
fn a_variant_has_one_convention() {
    let names = VARIANT_CONVENTIONS.iter().map(|(name, _)| *name);
    assert!(names.clone().is_sorted_by(|a, b| a < b));
    for (name, convention) in VARIANT_CONVENTIONS {
        assert_eq!(Convention::of_variant(name), Some(*convention));
    }
    let mini = Convention::of_variant("mini-frame");
    assert_eq!(mini, Some(Convention::Plain));
    assert_eq!(Convention::of_variant("mini"), None);
}
