//! Judges: first all that needs no guest, then one guest for the others.

use super::guest::{self, Seen};
use super::list::Check;
use super::{Exercise, Verdict, answers, epilogue, variant};
use crate::image::Image;
use crate::kernel;
use crate::modules::Conventions;
use crate::tool;
use anyhow::Result;

/// Judges exercises, in their order.
///
/// # Errors
/// When a guest can't be started, or a file of the runner's own not be written.
pub fn judge(chosen: &[&'static Exercise]) -> Result<Vec<Verdict>> {
    let early: Vec<Option<Verdict>> = chosen.iter().map(|one| without_guest(one)).collect();
    if early.iter().all(Option::is_some) {
        return Ok(early.into_iter().flatten().collect());
    }
    let is_left = |(early, one): (&Option<_>, &&Exercise)| early.is_none() && !one.is_edit();
    let kernel = match early.iter().zip(chosen).any(is_left) {
        true => kernel::build(Image::Test, &Conventions::usual()).map(Some),
        // An edit is compared as it is linked: no module of the tree's is asked for.
        false => kernel::link(Image::Test, tool::workspace(), &tool::target_dir()).map(|_| None),
    };
    let kernel = match kernel {
        Ok(kernel) => kernel,
        Err(error) => {
            let why = format!("expected: a tree that builds; found: {error:#}");
            let verdicts = early.into_iter();
            return Ok(verdicts
                .map(|early| early.unwrap_or_else(|| Err(why.clone())))
                .collect());
        }
    };
    // Proof and comparison look at what was just linked.
    let early: Vec<Option<Verdict>> = chosen
        .iter()
        .zip(early)
        .map(|(one, early)| match early {
            Some(verdict) => Ok(Some(verdict)),
            None => with_build(one),
        })
        .collect::<Result<_>>()?;
    let tests: Vec<&str> = chosen
        .iter()
        .zip(&early)
        .filter(|(_, early)| early.is_none())
        .filter_map(|(exercise, _)| exercise.test)
        .collect();
    let seen = match kernel {
        Some(kernel) => guest::see(&kernel, &tests)?,
        None => Seen::default(),
    };
    let mut verdicts = Vec::new();
    for (exercise, early) in chosen.iter().zip(early) {
        verdicts.push(match early {
            Some(verdict) => verdict,
            None => by_guest(exercise, &seen)?,
        });
    }
    Ok(verdicts)
}

/// What can be said before anything is built: all of an exercise that needs no guest,
/// and of one with answers that there are none.
fn without_guest(exercise: &Exercise) -> Option<Verdict> {
    match exercise.check {
        Check::Break => Some(epilogue::is_broken().map(|()| exercise.achieved.into())),
        Check::Site => answers::site().err().map(Err),
        Check::Holders => answers::holders().err().map(Err),
        Check::Live(task) => task.is_begun().err().map(Err),
        Check::Guest | Check::Repair | Check::Variant => None,
    }
}

/// What can be said of the build: what the proof has against a module that is to be mended, and
/// all of an edit.
fn with_build(exercise: &Exercise) -> Result<Option<Verdict>> {
    Ok(match exercise.check {
        Check::Repair => epilogue::is_mended().err().map(Err),
        Check::Live(task) => Some(task.judge()?.map(|()| exercise.achieved.into())),
        _ => None,
    })
}

/// By what the guest has told of an exercise's test.
fn by_guest(exercise: &Exercise, seen: &Seen) -> Result<Verdict> {
    let achieved = || exercise.achieved.to_owned();
    let Some(test) = exercise.test else {
        return Ok(Err("it was not looked at".into()));
    };
    if let Err(why) = seen.result(test) {
        return Ok(Err(why));
    }
    Ok(match exercise.check {
        Check::Guest | Check::Break | Check::Repair | Check::Live(_) => Ok(achieved()),
        Check::Site => answers::site()
            .and_then(|answers| answers.compare(seen))
            .map(|()| achieved()),
        Check::Holders => answers::holders()
            .and_then(|held| answers::compare_holders(&held, seen))
            .map(|reasons| achieved() + &reasons),
        Check::Variant => variant::judge(seen)?.map(|found| achieved() + &found),
    })
}
