//! What `live` prints of a patch that it has made, or could not make.

use super::patch::Made;
use kdiff::Change;
use std::fmt::Write as _;
use std::time::Duration;

/// What differs, as a table, and what is to be said of it.
pub fn told(made: &Made) -> String {
    let mut text = String::new();
    let width = made
        .rows
        .iter()
        .map(|row| row.path.len())
        .max()
        .unwrap_or(0)
        .min(70);
    for row in &made.rows {
        let change = match row.change {
            Change::Changed => "changed",
            Change::New => "new",
            Change::Gone => "gone",
        };
        let within = row
            .within
            .as_ref()
            .map_or_else(String::new, |one| format!("in {one}"));
        let line = format!(
            "{change:8} {:7} {:width$}  {}  {within}",
            row.sort, row.path, row.place
        );
        let _ = writeln!(text, "{}", line.trim_end());
        for why in &row.why {
            let _ = writeln!(text, "         {why}");
        }
    }
    let _ = writeln!(text, "{} functions compared", made.compared);
    for note in &made.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for refused in &made.refused {
        let _ = writeln!(text, "can't be patched: {refused}");
    }
    if let Some(module) = &made.module {
        let count = module.replaced.len();
        let does = match count {
            0 => "its hook alone".to_owned(),
            1 => "replaces 1 function".to_owned(),
            count => format!("replaces {count} functions"),
        };
        let size = module.file.len();
        let _ = writeln!(text, "module: {size} bytes, {does}");
        for carried in &module.carried {
            let _ = writeln!(text, "  brings along {carried}");
        }
    }
    text
}

/// How long the parts took, and all together.
pub fn timing(times: &[(&'static str, Duration)]) -> String {
    let parts = times
        .iter()
        .map(|(part, time)| format!("{part} {:.2}", time.as_secs_f64()));
    let all: Duration = times.iter().map(|(_, time)| *time).sum();
    format!(
        "{:.2} s: {}",
        all.as_secs_f64(),
        parts.collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_add_up() {
        let times = [
            ("build", Duration::from_millis(2500)),
            ("send", Duration::from_millis(40)),
        ];
        assert_eq!(timing(&times), "2.54 s: build 2.50, send 0.04");
    }
}
