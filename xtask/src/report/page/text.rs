//! Numbers in words.

use std::fmt::Display;

/// A number and what it counts.
pub fn count<N: Display + PartialEq + From<u8>>(number: N, one: &str, many: &str) -> String {
    let what = if number == N::from(1) { one } else { many };
    format!("{number} {what}")
}

/// A time in timebase ticks, with three digits that count.
pub fn time(ticks: u64, hz: u64) -> String {
    let nanoseconds = ticks as f64 * 1e9 / hz.max(1) as f64;
    // The first unit in which rounding does not need a fourth digit before the point.
    for (unit, size) in [("ns", 1.0), ("µs", 1e3), ("ms", 1e6)] {
        let value = nanoseconds / size;
        if value < 999.5 {
            let digits = match value {
                _ if unit == "ns" || value >= 99.95 => 0,
                value if value >= 9.995 => 1,
                _ => 2,
            };
            return format!("{value:.digits$} {unit}");
        }
    }
    format!("{:.2} s", nanoseconds / 1e9)
}

/// A place or a width for the style sheet, in percent.
pub fn percent(value: f64) -> String {
    format!("{:.3}%", value.clamp(0.0, 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_that_count() {
        let hz = 1_000_000_000;
        for (ticks, said) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (8_066, "8.07 µs"),
            (42_549, "42.5 µs"),
            (999_400, "999 µs"),
            (999_600, "1.00 ms"),
            (13_400_000, "13.4 ms"),
            (2_000_000_000, "2.00 s"),
        ] {
            assert_eq!(time(ticks, hz), said);
        }
        assert_eq!(time(512, 512_000_000), "1.00 µs");
        assert_eq!(time(512, 0), "512.00 s");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(count(1_usize, "switch", "switches"), "1 switch");
        assert_eq!(count(0_u32, "switch", "switches"), "0 switches");
    }

    #[test]
    fn places_stay_on_the_page() {
        assert_eq!(percent(12.3456), "12.346%");
        assert_eq!(percent(-1.0), "0.000%");
        assert_eq!(percent(101.0), "100.000%");
    }
}
