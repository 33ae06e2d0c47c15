//! `exercise`: lists the exercises of docs/exercises, or says whether the reader's tree
//! does what some of them ask.
//!
//! What is asked for is looked at as it behaves: in a guest, where the self-tests under
//! `exercises::` say what they have found; by the proof; by the matrix; or as a live patch of
//! the kernel before. Nothing here reads a reader's source.

mod answers;
mod epilogue;
mod guest;
mod judge;
mod list;
mod live;
mod variant;

pub use list::{EXERCISES, Exercise, FOLDER, Level};

use anyhow::{Result, bail, ensure};
use judge::judge;

/// Options of `exercise`.
#[derive(Clone, Debug, clap::Args)]
pub struct ExerciseArgs {
    /// Numbers, with blanks or commas between them, or all; without any, the
    /// exercises are listed
    #[arg(value_name = "NUMBER")]
    pub numbers: Vec<String>,
}

/// What became of an exercise: what was achieved, or what is missing yet.
pub type Verdict = std::result::Result<String, String>;

/// Lists the exercises, or judges those that are asked for. Says whether all of these
/// are done.
///
/// # Errors
/// When there is no such exercise, or something can't be started that has nothing to
/// do with the reader's work.
pub fn exercise(args: &ExerciseArgs) -> Result<bool> {
    let chosen = chosen(&args.numbers)?;
    if chosen.is_empty() {
        print!("{}", list::listing());
        return Ok(true);
    }
    let mut done = 0;
    let verdicts = judge(&chosen)?;
    for (exercise, verdict) in chosen.iter().zip(&verdicts) {
        print!("{}", told(exercise, verdict));
        done += usize::from(verdict.is_ok());
    }
    if chosen.len() > 1 {
        println!("{done} of {} done", chosen.len());
    }
    Ok(done == chosen.len())
}

/// The exercises of these numbers, each once.
fn chosen(numbers: &[String]) -> Result<Vec<&'static Exercise>> {
    let mut chosen: Vec<&'static Exercise> = Vec::new();
    let words = numbers
        .iter()
        .flat_map(|word| word.split([',', ' ']))
        .filter(|word| !word.is_empty());
    for word in words {
        if word == "all" {
            return Ok(EXERCISES.iter().collect());
        }
        let found = EXERCISES
            .iter()
            .find(|exercise| word.parse() == Ok(exercise.number));
        let Some(exercise) = found else {
            bail!(
                "there is no exercise `{word}`: there are 1 to {}, and all",
                EXERCISES.len()
            );
        };
        if !chosen.contains(&exercise) {
            chosen.push(exercise);
        }
    }
    ensure!(
        numbers.is_empty() || !chosen.is_empty(),
        "no exercise is named: there are 1 to {}, and all",
        EXERCISES.len()
    );
    Ok(chosen)
}

/// A verdict, for the reader.
fn told(exercise: &Exercise, verdict: &Verdict) -> String {
    let Exercise { number, title, .. } = exercise;
    match verdict {
        Ok(achieved) => {
            let next = match EXERCISES.iter().find(|next| next.number == number + 1) {
                Some(next) => format!(
                    "next: exercise {}, {} ({}): {}",
                    next.number,
                    next.title,
                    next.level,
                    next.document()
                ),
                None => "that was the last one".into(),
            };
            format!("exercise {number}, {title}: done\n  {achieved}\n  {next}\n")
        }
        Err(why) => format!(
            "exercise {number}, {title}: not there yet\n  {}\n  the task: {}\n",
            why.replace('\n', "\n  "),
            exercise.document()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(words: &[&str]) -> Result<Vec<u8>> {
        let words: Vec<String> = words.iter().map(|&word| word.into()).collect();
        Ok(chosen(&words)?.iter().map(|one| one.number).collect())
    }

    #[test]
    fn exercises_are_chosen_by_number() {
        assert!(numbers(&[]).unwrap().is_empty());
        assert_eq!(numbers(&["3"]).unwrap(), [3]);
        assert_eq!(numbers(&["3, 1 3", "2"]).unwrap(), [3, 1, 2]);
        assert_eq!(numbers(&["all"]).unwrap().len(), EXERCISES.len());
        for bad in ["0", "99", "x", "-1", "3x", "", " , "] {
            let error = numbers(&[bad]).unwrap_err().to_string();
            assert!(error.ends_with("there are 1 to 13, and all"), "{error}");
        }
    }

    #[test]
    fn a_pass_names_the_next_and_a_failure_the_task() {
        let [first, .., last] = &EXERCISES;
        let told_first = told(first, &Ok("It did.".into()));
        assert!(told_first.contains("done\n  It did.\n  next: exercise 2, "));
        assert!(told(last, &Ok(String::new())).contains("that was the last one"));
        let told_first = told(first, &Err("one\ntwo".into()));
        assert!(
            told_first.contains("not there yet\n  one\n  two\n  the task: docs/exercises/01-"),
            "{told_first}"
        );
    }
}
