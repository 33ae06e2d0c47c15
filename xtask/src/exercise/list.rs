//! The exercises there are.

use super::live::Task;
use std::fmt;
use std::fmt::Write as _;

/// Where their documents are, in the checkout.
pub const FOLDER: &str = "docs/exercises";

/// How much an exercise takes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// A line or a number.
    Easy,
    /// A function, and a look at how things work.
    Medium,
    /// Several things that must fit together.
    Hard,
    /// An idea of one's own.
    Expert,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Easy => "easy",
            Self::Medium => "medium",
            Self::Hard => "hard",
            Self::Expert => "expert",
        })
    }
}

/// How an exercise is judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Check {
    /// By a self-test.
    Guest,
    /// By what a self-test has counted, compared with the answers.
    Site,
    /// By the threads that a self-test has seen, compared with the answer.
    Holders,
    /// By the proof, of a file that no module has.
    Break,
    /// By the proof, and then by a self-test.
    Repair,
    /// By a self-test, and then by the matrix.
    Variant,
    /// As a live patch of the kernel before the edit.
    Live(Task),
}

/// An exercise.
#[derive(Debug, Eq, PartialEq)]
pub struct Exercise {
    /// Its number, from 1.
    pub number: u8,
    /// Its title, as in its document.
    pub title: &'static str,
    /// How much it takes.
    pub level: Level,
    /// Its document's name, without number and ending.
    pub slug: &'static str,
    pub(super) check: Check,
    /// The self-test that looks at it, if one does.
    pub(super) test: Option<&'static str>,
    /// What the reader has achieved with it.
    pub(super) achieved: &'static str,
}

impl Exercise {
    /// Whether its answer is an edit of the kernel.
    pub(super) fn is_edit(&self) -> bool {
        matches!(self.check, Check::Live(_))
    }

    /// Where it is described, in the checkout.
    #[must_use]
    pub fn document(&self) -> String {
        format!("{FOLDER}/{:02}-{}.md", self.number, self.slug)
    }
}

/// All of them, in order.
pub const EXERCISES: [Exercise; 13] = [
    Exercise {
        number: 1,
        title: "Another greeting",
        level: Level::Easy,
        slug: "greeting",
        check: Check::Guest,
        test: Some("exercises::greeting::greets"),
        achieved: "A running kernel has said what you wrote, and then what it said before.",
    },
    Exercise {
        number: 2,
        title: "Which words change",
        level: Level::Easy,
        slug: "site",
        check: Check::Site,
        test: Some("exercises::site::counts_words"),
        achieved: "You have foretold which words a patch changes in a running kernel.",
    },
    Exercise {
        number: 3,
        title: "Two functions together",
        level: Level::Easy,
        slug: "together",
        check: Check::Guest,
        test: Some("exercises::together::seals_and_opens"),
        achieved: "Two functions have changed at one moment for each thread: no message was lost.",
    },
    Exercise {
        number: 4,
        title: "What blocks it",
        level: Level::Medium,
        slug: "holders",
        check: Check::Holders,
        test: Some("exercises::holders::are_seen"),
        achieved: "You can tell from what threads do which of them block a transition:",
    },
    Exercise {
        number: 5,
        title: "Break an epilogue",
        level: Level::Medium,
        slug: "break",
        check: Check::Break,
        test: None,
        achieved: "One instruction less, and the proof has found it. No such module is packed.",
    },
    Exercise {
        number: 6,
        title: "Repair an epilogue",
        level: Level::Medium,
        slug: "repair",
        check: Check::Repair,
        test: Some("exercises::epilogue::is_mended"),
        achieved: "Your assembly is proved, has run, and its caller got its r2 back.",
    },
    Exercise {
        number: 7,
        title: "A number for each visitor",
        level: Level::Medium,
        slug: "shadow",
        check: Check::Guest,
        test: Some("exercises::shadow::counts_visitors"),
        achieved: "Records have got a number that they have no room for, and lost it with the patch.",
    },
    Exercise {
        number: 8,
        title: "In another's place",
        level: Level::Medium,
        slug: "cumulative",
        check: Check::Guest,
        test: Some("exercises::cumulative::takes_over"),
        achieved: "Your patch has taken another's place at one moment, with all that it had mended.",
    },
    Exercise {
        number: 9,
        title: "A patch that refuses",
        level: Level::Hard,
        slug: "callbacks",
        check: Check::Guest,
        test: Some("exercises::callback::opens_the_valve"),
        achieved: "Your patch refuses when it must, and its valve is open exactly while it is enabled.",
    },
    Exercise {
        number: 10,
        title: "A patch that lets go",
        level: Level::Hard,
        slug: "leave",
        check: Check::Guest,
        test: Some("exercises::leave::lets_go"),
        achieved: "Your patch could be taken back although a thread was waiting in it, twice.",
    },
    Exercise {
        number: 11,
        title: "A variant of your own",
        level: Level::Expert,
        slug: "variant",
        check: Check::Variant,
        test: Some("exercises::variants::has_a_new_one"),
        achieved: "The matrix has a column more, and each cell is as you have declared it:",
    },
    Exercise {
        number: 12,
        title: "Tickets",
        level: Level::Expert,
        slug: "tickets",
        check: Check::Live(Task::Tickets),
        test: None,
        achieved: "A kernel that ran was mended by your edit of its source, data and code, and lost no ticket.",
    },
    Exercise {
        number: 13,
        title: "Points",
        level: Level::Expert,
        slug: "points",
        check: Check::Live(Task::Cards),
        test: None,
        achieved: "Objects of a kernel that ran were given what they had no room for, and it lived as long as it had to.",
    },
];

/// A line for each.
pub fn listing() -> String {
    let mut text = String::new();
    for exercise in &EXERCISES {
        let Exercise {
            number,
            title,
            level,
            ..
        } = exercise;
        // Text grows as it must.
        let _ = writeln!(
            text,
            "{number:>2}  {title:<27}{level:<8}{}",
            exercise.document()
        );
    }
    text + "`make exercise N=1` says whether your tree does what the first one asks.\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool;

    #[test]
    fn numbers_ascend_and_so_does_what_it_takes() {
        for (index, exercise) in EXERCISES.iter().enumerate() {
            assert_eq!(usize::from(exercise.number), index + 1);
        }
        assert!(EXERCISES.is_sorted_by_key(|exercise| exercise.level));
    }

    #[test]
    fn each_has_a_document_with_its_title_and_level() {
        let index = tool::read_file(&tool::workspace().join(FOLDER).join("README.md"));
        let index = String::from_utf8(index.unwrap()).unwrap();
        for exercise in &EXERCISES {
            let path = exercise.document();
            let text = tool::read_file(&tool::workspace().join(&path)).unwrap();
            let text = String::from_utf8(text).unwrap();
            let heading = format!(
                "# {}. {} ({})",
                exercise.number, exercise.title, exercise.level
            );
            assert_eq!(text.lines().next(), Some(heading.as_str()), "{path}");
            for part in [
                "\n## The task\n",
                "\n## Hints\n",
                "\n## How it is checked\n",
            ] {
                assert!(text.contains(part), "{path} has no{part}");
            }
            let row = format!("| {} | [{}](", exercise.number, exercise.title);
            assert!(index.contains(&row), "README.md has no row `{row}`");
        }
    }
}
