//! The demonstration's third patch, in place of all others: four percent interest.
#![no_std]

klp::module! {
    name: "four_percent",
    replace: true,
    replaces: ["demo::bank::balance" => balance],
}

unsafe extern "C" {
    /// What was paid in, for a function that adds so many percent.
    safe fn bank_paid_in(account: u64, percent: u64) -> u64;
}

klp::replacement! {
    /// What an account holds after so many years.
    pub extern "C" fn balance(account: u64, years: u64) -> u64 {
        grown(account, years)
    }
}

/// A replacement is only ever called by the hand-off, so what calls itself is this.
fn grown(account: u64, years: u64) -> u64 {
    if years == 0 {
        return bank_paid_in(account, 4);
    }
    let before = grown(account, years - 1);
    before.saturating_add(before / 25)
}
