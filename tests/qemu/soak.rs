//! A patch enabled and disabled again and again, under load.

use crate::harness::{Boot, kernel, trial};
use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use walk::{shell, tree::Tree};
use xtask::image::Image;
use xtask::outcome::Outcome;

/// How often a patch is enabled and disabled on several CPUs after the warm-up, and how many transitions
/// these must be at least: others come and go meanwhile. `make soak` does more.
const MANY: [u32; 2] = [4_100, 10_000];

/// On one CPU: as many as it takes until everything has happened that happens from time to time.
const FEW: [u32; 2] = [128, 850];

pub fn trials() -> Vec<Trial> {
    [
        ("default", FEW),
        ("smp-power9", MANY),
        ("power8", FEW),
        ("power10", FEW),
    ]
    .into_iter()
    .map(|(machine, [count, least])| {
        let name = format!("soak::{machine}");
        trial(&name.clone(), move || soak(&name, machine, count, least))
    })
    .chain([trial("soak::make", make)])
    .collect()
}

/// `make soak` soaks the variant that it is told, and knows which ones there are.
fn make() -> Result<()> {
    kernel(Image::Test)?;
    let run = |variant: &str| {
        let command = format!("make soak COUNT=20 CPUS=1 VARIANT={variant}");
        shell::run(&Tree::original(), &command)
    };
    // The guest says which variant it has soaked.
    let (well, printed) = run("livepatch-stack")?;
    ensure!(
        well && printed.contains("by variant `livepatch-stack`, "),
        "{printed}"
    );
    let (well, printed) = run("telepathy")?;
    ensure!(
        !well && printed.contains("boot argument `variant=telepathy`: "),
        "{printed}"
    );
    Ok(())
}

/// No call is lost or wrong, none is of a version that its thread is not at, and
/// afterwards everything is as before: the kernel says so in its verdict.
fn soak(name: &str, machine: &str, count: u32, least: u32) -> Result<()> {
    let append = format!("mode=soak count={count}");
    let run = Boot::new(name, machine, &append)?.run()?;
    run.expect(&Outcome::Guest(0))?;
    let measured = |what: &str| {
        let rows = run.events("measure");
        let row = rows.iter().find(|row| row["name"] == what);
        row.and_then(|row| row["value"].as_u64()).unwrap_or(0)
    };
    let transitions = measured("soak_transitions");
    ensure!(
        transitions >= u64::from(least),
        "{transitions} transitions instead of at least {least}: {}",
        run.finished.transcript
    );
    ensure!(measured("soak_calls") > 100 * u64::from(count), "few calls");
    ensure!(measured("soak_reversed") > 0, "nothing was turned round");
    println!(
        "{name}: {transitions} transitions in {:.1} s",
        run.finished.wall.as_secs_f64()
    );
    Ok(())
}
