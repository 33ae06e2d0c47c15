//! Exercise 13: points.

use super::{NAME, NEXT, Running};
use anyhow::Result;

/// The patch comes when there were purchases, another module takes its place, it goes, and comes
/// again.
pub fn try_out(mut shop: Running, module: &[u8], next: &[u8]) -> Result<()> {
    let what = "without the patch, each purchase gives one point";
    shop.expect("buy", &[0, 50], 1, what)?;
    shop.expect("buy", &[0, 50], 2, what)?;

    shop.enable(NAME, module)?;
    let what = "a card has a point for each of two purchases before the patch, and 30 more: 32";
    shop.expect("buy", &[0, 30], 32, what)?;
    let what = "a card that is used with the patch for the first time has the price in points: 7";
    shop.expect("buy", &[1, 7], 7, what)?;
    let what = "32 points, and 5 more: 37";
    shop.expect("buy", &[0, 5], 37, what)?;

    shop.enable(NEXT, next)?;
    shop.unload(NAME)?;
    let what =
        "points go on when the next module takes the place of the first: 37, and 10 more: 47";
    shop.expect("buy", &[0, 10], 47, what)?;
    let what = "points go on when the next module takes the place of the first: 7, and 3 more: 10";
    shop.expect("buy", &[1, 3], 10, what)?;

    shop.disable(NEXT)?;
    let what = "when the patch has gone, the old code has counted each purchase, 6 so far";
    shop.expect("buy", &[0, 100], 6, what)?;

    shop.enable(NAME, module)?;
    let what =
        "when the patch comes again, each of 6 purchases has given one point, and 10 more: 16";
    shop.expect("buy", &[0, 10], 16, what)?;
    let what = "a card that is used for the first time when the patch comes again: 9";
    shop.expect("buy", &[2, 9], 9, what)?;
    shop.disable(NAME)?;
    shop.end()
}
