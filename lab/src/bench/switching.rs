//! Costs of switching many sites.

use super::{EMPTY, Problem, Rows, cost_of, text};
use ftrace::Filter;

/// On and off, for all sites and for some.
pub(super) fn measure(rows: &mut Rows) -> Result<(), Problem> {
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
        Some(200),
    );
    rows.add("switch_off", "detaching it, a site", off / all, Some(200));
    rows.add(
        "switch_some",
        "ftrace_enabled for some of them, a site",
        of_some,
        Some(200),
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
