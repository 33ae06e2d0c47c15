//! What the step explorer takes for wrong.

use crate::check;
use klp::Convention;
use lab::{
    explore::{ARGUMENT, Watched, wrong_by},
    instruments::sanitiser::{Deviation, What},
};
use livepatch::variants::{VARIANTS, Variant};
use report::Judgement;

/// A call that returned what it should, and has left something else behind.
fn with(what: What, is_new: bool) -> Watched {
    let result = 3 * ARGUMENT + if is_new { 2 } else { 1 };
    Watched {
        result,
        expected: result,
        deviations: [Deviation {
            what,
            found: 1,
            expected: 2,
        }]
        .into_iter()
        .collect(),
    }
}

/// A variant like the default, with another price.
fn declaring(expects: &'static [(&'static str, Judgement, &'static str)]) -> Variant {
    let like = VARIANTS[0];
    Variant {
        name: "declaring",
        about: "",
        convention: Convention::Plain,
        expects,
        ..*like
    }
}

crate::selftest! {
    /// What a variant declares as its price is no finding, whatever it is, and nothing
    /// else is excused by it.
    fn a_declared_price_is_no_finding() {
        let pays = declaring(&[("toc-save-*", Judgement::Fail, "a test")]);
        let refuses = declaring(&[("toc-save-word", Judgement::Refused, "a test")]);
        let paid = wrong_by(&pays, &with(What::TocSave, true));
        check!(paid.is_none(), "the declared price is a finding: {paid:?}");
        for (variant, what, is_new) in [
            (&pays, What::Reserved, true),
            (&pays, What::Register(14), true),
            // The old function was not handed over.
            (&pays, What::TocSave, false),
            (&refuses, What::TocSave, true),
        ] {
            let found = wrong_by(variant, &with(what, is_new));
            check!(found.is_some(), "{what:?} is excused (new: {is_new}) by {:?}", variant.expects);
        }
        Ok(())
    }

    /// The default's own price.
    fn the_reserved_word_is_the_mails() {
        let found = wrong_by(VARIANTS[0], &with(What::Reserved, true));
        check!(found.is_none(), "{found:?}");
        let found = wrong_by(VARIANTS[0], &with(What::TocSave, true));
        check!(found.is_some(), "24(r1) is excused");
        Ok(())
    }
}
