//! Beside processes that never rest, everything is slower, and nothing fails.

use crate::harness::trial;
use crate::{selftests, shell};
use anyhow::Result;
use libtest_mimic::Trial;
use std::process::{Child, Command};
use xtask::tool;

/// How many there are; two processors are all that some machines have.
const OTHERS: usize = 4;

/// Self-tests in which threads wait for one another, and for ticks.
const SELFTESTS: &str = "mode=selftest test=thread::park::* test=thread::sleep::* test=thread::slices::* \
    test=thread::life::* test=thread::traced::* test=livepatch::ours::held::* test=livepatch::ours::threads::*";

/// Runs for as long as the process `$1` is there.
const NEVER_RESTS: &str = "while kill -0 $1; do :; done";

pub fn trials() -> Vec<Trial> {
    vec![trial("busy::part_of_the_suite", part_of_the_suite)]
}

/// Those that a limit of wall time has failed before: threads and transitions that wait for one another, much
/// work, and a long dialogue. As little of it as is enough: meanwhile the host is of no use to other trials.
fn part_of_the_suite() -> Result<()> {
    let _others = Others::start()?;
    selftests::selected("busy::selftest", "default", SELFTESTS)?;
    shell::fuzz("busy::fuzz", "default", 100)?;
    shell::paste("busy::paste")
}

/// Processes that use all that they can get of the processors.
struct Others(Vec<Child>);

impl Others {
    fn start() -> Result<Others> {
        let own = std::process::id().to_string();
        // With each, those before are ended if it can't be started.
        let mut others = Others(Vec::new());
        for _ in 0..OTHERS {
            let mut command = Command::new("sh");
            let other = tool::spawn(command.args(["-c", NEVER_RESTS, "sh", &own]))?;
            others.0.push(other);
        }
        Ok(others)
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        for other in &mut self.0 {
            // Fails only if it has ended already.
            let _ = other.kill();
            let _ = other.wait();
        }
    }
}
