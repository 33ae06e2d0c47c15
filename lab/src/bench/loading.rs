//! Costs of loading modules.

use super::{Problem, Rows, cost_of};

use alloc::format;

/// The demonstration's module, and what a relocation adds.
pub(super) fn measure(rows: &mut Rows) -> Result<(), Problem> {
    let load = |name: &str| -> Result<u64, Problem> {
        let file = loader::find_file(name)?;
        let (cost, module) = cost_of(|| loader::load(file.bytes).map(drop));
        module.map_err(|error| format!("{name}: {error}"))?;
        loader::unload(name).map_err(|error| format!("{name}: {error}"))?;
        Ok(cost)
    };
    // The first time makes tables that stay.
    load("kinds")?;
    let demo = load("kinds")?;
    let [ten, hundred, thousand, many] = [
        load("relocations10")?,
        load("relocations100")?,
        load("relocations1000")?,
        load("relocations10000")?,
    ];
    rows.add(
        "load_kinds",
        "loading the largest demo module",
        demo,
        Some(1_000_000),
    );
    rows.add("load_10", "loading a module with 10 relocations", ten, None);
    rows.add("load_100", "with 100", hundred, None);
    rows.add("load_1000", "with 1,000", thousand, None);
    rows.add("load_10000", "with 10,000", many, None);
    // Linear: one costs as much among ten thousand as among a thousand, give or
    // take what the first ones of a size bring along.
    let few = (thousand - hundred) / 900;
    rows.add("load_each_few", "one of 1,000 relocations", few, None);
    rows.add(
        "load_each_many",
        "one of 10,000",
        (many - thousand) / 9000,
        Some(few + few / 20),
    );
    Ok(())
}
