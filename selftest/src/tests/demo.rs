//! The demonstration's checks: each of them can fail.

use crate::{check, selftest};
use alloc::vec::Vec;
use arrayvec::ArrayString;
use demo::{
    events::{self, Switch},
    line::{self, Line, Lines},
    workload::Tally,
};
use livepatch::How;
use report::Verdict;

/// Switches of these threads.
fn switches(threads: &[u32]) -> Vec<Switch> {
    let switch = |&thread| Switch {
        thread,
        name: ArrayString::new(),
        cpu: 0,
        how: How::Asleep,
        back: false,
        after: 0,
    };
    threads.iter().map(switch).collect()
}

selftest! {
    /// An answer of the wrong side counts as bad, and so does one at mixed rates.
    fn answers_are_judged() {
        let tally = Tally::new();
        tally.note(10_303, 3, 1);
        check!(tally.bad() == 0 && tally.counts()[1] == 1, "a right answer: {tally:?}");
        // Two years at one percent, then one at two.
        tally.note(10_405, 3, 1);
        check!(tally.bad() == 1, "a mixed answer: {tally:?}");
        tally.note(10_303, 3, 2);
        check!(tally.bad() == 2 && tally.counts()[1] == 2, "one of the other side: {tally:?}");
        Ok(())
    }

    /// Threads that did not switch, did twice, or are not known are noticed.
    fn switches_are_counted() {
        for (seen, right) in [
            (&[1, 2, 3][..], true),
            (&[1, 3], false),
            (&[1, 2, 2, 3], false),
            (&[1, 2, 2], false),
            (&[1, 2, 4], false),
        ] {
            let found = events::each_once(&switches(seen), &[1, 2, 3]);
            check!(found == right, "{seen:?} is taken for {found}");
        }
        Ok(())
    }

    /// One line that is not right decides, and no line at all is not right.
    fn one_failure_decides() {
        let mut lines = Lines::new();
        check!(line::verdict(&lines) == Verdict::ChecksFailed, "nothing was checked");
        lines.push(Line::new("good", format_args!(""), true));
        check!(line::verdict(&lines) == Verdict::Passed, "all is well");
        lines.push(Line::new("bad", format_args!("{:200}", ""), false));
        lines.push(Line::new("good", format_args!(""), true));
        check!(line::verdict(&lines) == Verdict::ChecksFailed, "one is not");
        Ok(())
    }
}
