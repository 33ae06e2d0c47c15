//! Exercise 12: tickets.

use super::{NAME, Running};
use anyhow::Result;

/// The patch comes when no ticket is given out yet, goes, and comes once more when some are.
pub fn try_out(mut office: Running, module: &[u8]) -> Result<()> {
    office.enable(NAME, module)?;
    let what = "the first ticket, after the patch came, is 1";
    office.expect("ticket", &[9], 1, what)?;
    office.disable(NAME)?;
    let what = "when the patch has gone, the old code gives out the next one, 2";
    office.expect("ticket", &[9], 2, what)?;
    office.enable(NAME, module)?;
    let what = "when the patch comes again, 1 and 2 are given out, and the next one is 3";
    office.expect("ticket", &[9], 3, what)?;
    office.expect("ticket", &[3], 0, "of three tickets none is left")?;
    office.expect("ticket", &[5], 5, "the last of five tickets is 5")?;
    office.disable(NAME)?;
    office.end()
}
