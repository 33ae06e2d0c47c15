//! Why a function's code is another.

use super::Function;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Why an edit changes a function's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Lines of its own were edited.
    Own {
        /// The file.
        file: Arc<str>,
        /// The lines, in order.
        lines: Vec<u32>,
    },
    /// Lines of a function were edited that is inlined into it.
    Inlined {
        /// That function's linkage name, or its name.
        linkage_name: String,
        /// Its path.
        path: String,
        /// The paths of the functions that it is inlined into on the way, from outside.
        through: Vec<String>,
        /// The file.
        file: Arc<str>,
        /// The lines, in order.
        lines: Vec<u32>,
    },
}

/// No function is longer. Damaged, one could be of four thousand million lines.
const LINES: u32 = 1 << 16;

impl Function {
    /// Why an edit changes it: see [`Functions::who`](super::Functions::who).
    #[must_use]
    pub fn who(&self, edited: &dyn Fn(&str, u32) -> bool) -> Vec<Why> {
        // Which lines of what: nothing inlined for the function itself.
        let mut found: BTreeMap<(Option<usize>, Arc<str>), BTreeSet<u32>> = BTreeMap::new();
        for row in &self.rows {
            if edited(&row.file, row.line) {
                let lines = found.entry((row.inlined, row.file.clone())).or_default();
                lines.insert(row.line);
            }
        }
        // Lines without code, such as a constant's that was computed when it was compiled,
        // count for the function that they are in: the innermost, if it is one of several.
        let own = std::iter::once((None, &self.file, &self.lines));
        let inlined = self.inlined.iter().enumerate();
        let inlined = inlined.map(|(index, one)| (Some(index), &one.file, &one.lines));
        let bodies: Vec<_> = own
            .chain(inlined)
            .filter(|body| !body.1.is_empty())
            .collect();
        let mut innermost: BTreeMap<_, (u32, Option<usize>)> = BTreeMap::new();
        let mut looked = BTreeSet::new();
        for (index, file, lines) in bodies {
            // Inlined ten times, a function's lines are the same each time.
            if !looked.insert((file, *lines.start(), *lines.end())) {
                continue;
            }
            let length = lines.end().saturating_sub(*lines.start());
            for line in lines.clone().take(LINES as usize) {
                if edited(file, line) {
                    let best = innermost.entry((file, line)).or_insert((length, index));
                    if length < best.0 {
                        *best = (length, index);
                    }
                }
            }
        }
        for ((file, line), (_, index)) in innermost {
            let has_row = found
                .iter()
                .any(|((_, of), lines)| of == file && lines.contains(&line));
            if !has_row {
                let lines = found.entry((index, file.clone())).or_default();
                lines.insert(line);
            }
        }
        self.reasons(found)
    }

    fn reasons(&self, found: BTreeMap<(Option<usize>, Arc<str>), BTreeSet<u32>>) -> Vec<Why> {
        let mut reasons: Vec<Why> = Vec::new();
        for ((index, file), lines) in found {
            let Some(one) = index.and_then(|index| self.inlined.get(index)) else {
                let lines = lines.into_iter().collect();
                reasons.push(Why::Own { file, lines });
                continue;
            };
            // The same function in several places is said once.
            let same = reasons.iter_mut().find_map(|reason| match reason {
                Why::Inlined {
                    linkage_name,
                    file: its,
                    lines,
                    ..
                } if *linkage_name == one.linkage_name && *its == file => Some(lines),
                _ => None,
            });
            if let Some(known) = same {
                known.extend(lines);
                known.sort_unstable();
                known.dedup();
                continue;
            }
            let mut through = Vec::new();
            let mut caller = one.caller;
            while let Some(next) = caller.and_then(|index| self.inlined.get(index)) {
                through.push(next.path.clone());
                // A caller is before what is inlined into it, so this ends.
                caller = next.caller;
            }
            through.reverse();
            reasons.push(Why::Inlined {
                linkage_name: one.linkage_name.clone(),
                path: one.path.clone(),
                through,
                file,
                lines: lines.into_iter().collect(),
            });
        }
        reasons
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own { .. } => f.write_str("its own lines were edited"),
            Self::Inlined { path, through, .. } => {
                write!(f, "`{path}` is inlined into it")?;
                match through.last() {
                    Some(last) => write!(f, ", as part of `{last}`"),
                    None => Ok(()),
                }
            }
        }
    }
}
