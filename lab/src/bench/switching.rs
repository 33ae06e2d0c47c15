//! Costs of writing code: one word, and many sites.

use super::{EMPTY, Problem, Rows, cost_of, text};
use alloc::format;
use ftrace::Filter;
use machine::{
    arch,
    mmu::Alias,
    text::{self as code, Change},
};

/// On and off, for all sites and for some.
pub(super) fn measure(rows: &mut Rows) -> Result<(), Problem> {
    write_word(rows)?;
    let all = ftrace::sites().len() as u64;
    // The first time makes tables that stay.
    ftrace::register(&EMPTY, &Filter::all()).map_err(text)?;
    ftrace::unregister(&EMPTY).map_err(text)?;
    let (on, count) = cost_of(|| ftrace::register(&EMPTY, &Filter::all()));
    count.map_err(text)?;
    let (off, result) = cost_of(|| ftrace::unregister(&EMPTY));
    result.map_err(text)?;
    let (all_cost, all_count) = switch_cost(&Filter::all())?;
    let (some_cost, some_count) = switch_cost(&Filter::only(&["*core*"]))?;
    let (each, of_some) = (all_cost / all_count, some_cost / some_count);
    rows.count("sites", "sites that can be traced", "sites", all);
    rows.add(
        "switch_on",
        "attaching an ops everywhere, a site",
        on / all,
        Some(450),
    );
    rows.add("switch_off", "detaching it, a site", off / all, Some(450));
    rows.add(
        "switch_some",
        "ftrace_enabled for some of them, a site",
        of_some,
        Some(450),
    );
    // Linear: a site costs no more among many than among few.
    rows.add(
        "switch_all",
        "ftrace_enabled for all of them, a site",
        each,
        Some(of_some),
    );
    Ok(())
}

/// What something takes, rounded: all together begins and ends on either side of a tick.
fn each(mut once: impl FnMut()) -> u64 {
    const TIMES: u64 = 64;
    let (cost, ()) = cost_of(|| (0..TIMES).for_each(|_| once()));
    (cost + TIMES / 2) / TIMES
}

/// What one word takes, and the parts of it.
fn write_word(rows: &mut Rows) -> Result<(), Problem> {
    let site = ftrace::sites().first().map(|site| site.address);
    let address = site.ok_or("there is no site")?;
    let word = code::read(address);
    let change = Change {
        address,
        expected: word,
        new: word,
    };
    let mut written = Ok(());
    // SAFETY: the word that is there.
    let first = each(|| written = unsafe { code::apply(&[change]) });
    written.map_err(|error| format!("{error}"))?;
    // SAFETY: as above.
    let second = each(|| unsafe { code::write_unchecked(address, word) });
    let off = arch::interrupts_off();
    // SAFETY: with interrupts off on the only CPU, nothing else writes code.
    let open = || unsafe { Alias::new(address, &off) };
    let alias = each(|| drop(open()));
    let with_store = each(|| {
        let alias = open();
        let place = alias.of(address).unwrap_or(address);
        // SAFETY: the word that is there.
        let _ = unsafe { arch::store_instruction(address, place, word) };
    });
    rows.add(
        "write_word",
        "writing a word of code, and once more",
        first + second,
        Some(600),
    );
    for (name, about, cost) in [
        ("write_again", "of that, the second time, unchecked", second),
        (
            "write_alias",
            "of each, an alias of its page, made and gone",
            alias,
        ),
        (
            "write_store",
            "and the store, with its flush",
            with_store - alias,
        ),
    ] {
        rows.add(name, about, cost, None);
    }
    Ok(())
}

/// Turns tracing off and on again with an ops on the chosen sites: what turning
/// it on takes, and how many sites they are.
fn switch_cost(filter: &Filter) -> Result<(u64, u64), Problem> {
    let count = ftrace::register(&EMPTY, filter).map_err(text)?;
    ftrace::set_enabled(false).map_err(text)?;
    let (cost, result) = cost_of(|| ftrace::set_enabled(true));
    result.map_err(text)?;
    ftrace::unregister(&EMPTY).map_err(text)?;
    Ok((cost, count as u64))
}
