//! `epilogue-as-posted`: the return convention of the mail, to the letter. It must
//! fail, and is here to show how.
//!
//! Torsten Duwe, linuxppc-dev, 10 March 2016, "[PATCH 2/2] ppc64le live patch: get
//! rid of mini stack frame", which says of itself that it is untested. What C does
//! there before it returns is
//!
//! ```text
//! ld   r0, 0(r1)         A's frame
//! lwa  r2, 12(r0)        meant: TOC - LR out of it
//! ld   r0, LRSAVE(r0)    meant: LR out of it
//! add  r2, r2, r0
//! ```
//!
//! As the base register of a load, r0 does not mean what it holds but the number 0:
//! "(RA|0)" in the ISA's Book I, where it describes loads. So the second and third
//! instruction read addresses 12 and 16, whatever is there, and A goes on with the sum
//! of the two for its TOC. Where address 0 has no page, as in Linux, the second one
//! faults. LRSAVE is Linux's name for 16. The corrected sequence takes
//! r11: see `epilogue`.

use super::{Toc, Variant, epilogue};
use klp::Convention;
use report::Judgement;

/// What nearly all of its failures come down to. A caller through a pointer, and one
/// in another module, has saved its own r2 and does not mind.
const WRONG: &str = "A goes on with the sum of the words at 12 and 16";

/// Why it is not asked some questions.
const SOUND: &str = "this needs a variant that works";

pub static VARIANT: Variant = Variant {
    name: "epilogue-as-posted",
    about: "the mail's own sequence, where r0 as a base means the number 0",
    convention: Convention::AsPosted,
    // Of the hand-off, the mail is right.
    hand_off: epilogue::hand_off,
    toc: Toc::Own,
    gives_back_toc: false,
    needs_page_zero: Some((
        "C reads address 12, where no page is",
        &["tail-call-*", "kernels-toc"],
    )),
    expects: &[
        ("reserved-word", Judgement::Fail, epilogue::RESERVED),
        ("tail-call-*", Judgement::Fail, epilogue::GONE),
        ("r2-local-*", Judgement::Fail, WRONG),
        ("leaf*", Judgement::Fail, WRONG),
        ("module-local", Judgement::Fail, WRONG),
        ("far-module", Judgement::Fail, WRONG),
        ("tail-called", Judgement::Fail, WRONG),
        ("kernels-toc-stack", Judgement::Fail, WRONG),
        ("interrupt", Judgement::Fail, WRONG),
        ("tracer-*", Judgement::Fail, WRONG),
        ("unpatch-inside", Judgement::Fail, WRONG),
        ("recursion-*", Judgement::NotApplicable, SOUND),
        ("both-patch-states", Judgement::NotApplicable, SOUND),
        ("stack-overflow", Judgement::NotApplicable, SOUND),
    ],
    ..Variant::BASIC
};
