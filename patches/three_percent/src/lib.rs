//! The demonstration's second patch, on top of the first: three percent interest.
#![no_std]

klp::module! {
    name: "three_percent",
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
        return bank_paid_in(account, 3);
    }
    let before = grown(account, years - 1);
    before.saturating_add(before.saturating_mul(3) / 100)
}
