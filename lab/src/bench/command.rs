//! The monitor's `bench`.

use report::Verdict;
use shell::{Command, CommandError, Family, Outcome, Session, input, must_be_at_rest};

/// What the monitor has for it.
pub static FAMILY: Family = Family {
    title: "costs",
    commands: &[Command {
        name: "bench",
        about: "counts what things cost, in instructions; ^C stops between two",
        more: "Where time counts instructions: `make shell MACHINE=icount`.",
        example: "bench",
        run: bench,
        ..Command::BASIC
    }],
};

fn bench(_: &mut Session, _: &[&str]) -> Outcome {
    must_be_at_rest()?;
    if !super::is_possible() {
        return Err(CommandError::refused(
            "time does not count instructions here; it does on `make shell MACHINE=icount`",
        ));
    }
    let verdict = super::run_while(None, &|| !input::interrupted());
    input::check()?;
    match verdict {
        Verdict::Passed => Ok(()),
        _ => Err(CommandError::refused("something costs more than it may")),
    }
}
