//! Which lines a function's code comes from, and so why an edit changes it.

mod support;

use debuginfo::{Functions, Why, edited_lines};
use support::{ABOVE, functions};

const SOURCE: &str = "
pub mod bank {
    #[inline]
    pub fn rate(x: u64) -> u64 {
        let doubled = x * 3;
        doubled ^ 0x55
    }

    #[inline(always)]
    pub fn fee(x: u64) -> u64 {
        let base = rate(x);
        base / 7
    }

    #[inline(never)]
    pub fn balance(x: u64) -> u64 {
        let paid = fee(x);
        paid + 1000
    }

    #[inline(never)]
    pub fn alone(x: u64) -> u64 {
        x * 17
    }

    pub fn each(all: &mut [u64]) {
        all.iter_mut().for_each(|one| {
            *one ^= 0x1234;
        });
    }

    #[inline(never)]
    pub fn generic<T: Copy + Into<u64>>(x: T) -> u64 {
        let x: u64 = x.into();
        x / 11
    }

    pub fn uses(x: u8, y: u32) -> u64 {
        generic(x) + generic(y)
    }
}
";

/// The function with this path that has code.
fn name(functions: &Functions, path: &str) -> String {
    let mut all = functions.iter().filter(|one| one.path == path);
    let one = all.next().unwrap_or_else(|| {
        let paths: Vec<_> = functions.iter().map(|one| &*one.path).collect();
        panic!("{path} is not in {paths:?}")
    });
    one.linkage_name.clone()
}

/// What is said of a function after an edit of the source.
fn why(path: &str, from: &str, to: &str) -> Vec<Why> {
    assert!(SOURCE.contains(from));
    let new = SOURCE.replace(from, to);
    let edited = edited_lines(SOURCE, &new);
    let functions = functions(&new);
    functions.who(&name(&functions, path), &|file, line| {
        file == "src/lib.rs" && edited.iter().any(|range| range.contains(&(line - ABOVE)))
    })
}

fn said(path: &str, from: &str, to: &str) -> Vec<String> {
    why(path, from, to).iter().map(Why::to_string).collect()
}

#[test]
fn a_function_knows_its_place_and_what_is_inlined_into_it() {
    let functions = functions(SOURCE);
    let balance = functions
        .named(&name(&functions, "demo::bank::balance"))
        .next();
    let balance = balance.unwrap();
    assert_eq!(&*balance.file, "src/lib.rs");
    let line = |text: &str| {
        let index = SOURCE.lines().position(|line| line.contains(text)).unwrap();
        u32::try_from(index + 1).unwrap() + ABOVE
    };
    assert_eq!(balance.line, line("pub fn balance"));
    assert_eq!(*balance.lines.start(), line("pub fn balance"));
    assert!(*balance.lines.end() >= line("paid + 1000"));
    assert!(*balance.lines.end() < line("pub fn alone"));
    let inlined: Vec<_> = balance
        .inlined
        .iter()
        .map(|one| (&*one.path, one.call_line, one.caller))
        .collect();
    assert_eq!(
        inlined,
        [
            ("demo::bank::fee", line("= fee(x)"), None),
            ("demo::bank::rate", line("= rate(x)"), Some(0)),
        ]
    );
    assert!(
        balance
            .inlined
            .iter()
            .all(|one| &*one.call_file == "src/lib.rs")
    );
    // The function's own rows and those of what is inlined into it.
    let rows: Vec<_> = balance
        .rows
        .iter()
        .map(|row| (row.line, row.inlined))
        .collect();
    assert!(rows.contains(&(line("paid + 1000"), None)), "{rows:?}");
    assert!(rows.contains(&(line("base / 7"), Some(0))), "{rows:?}");
    assert!(
        rows.contains(&(line("doubled ^ 0x55"), Some(1))),
        "{rows:?}"
    );
}

#[test]
fn a_functions_own_lines_are_the_first_reason() {
    let edit = ("paid + 1000", "paid + 2000");
    assert_eq!(
        said("demo::bank::balance", edit.0, edit.1),
        ["its own lines were edited"]
    );
    assert_eq!(
        said("demo::bank::alone", edit.0, edit.1),
        Vec::<String>::new()
    );
}

#[test]
fn an_edit_comes_in_by_what_is_inlined_at_each_depth() {
    assert_eq!(
        said("demo::bank::balance", "base / 7", "base / 9"),
        ["`demo::bank::fee` is inlined into it"]
    );
    assert_eq!(
        said("demo::bank::balance", "x * 3", "x * 5"),
        ["`demo::bank::rate` is inlined into it, as part of `demo::bank::fee`"]
    );
    assert_eq!(
        said("demo::bank::alone", "x * 3", "x * 5"),
        Vec::<String>::new()
    );
}

#[test]
fn a_line_that_was_taken_out_counts_as_well() {
    assert_eq!(
        said(
            "demo::bank::balance",
            "        let base = rate(x);\n        base / 7",
            "        x / 7"
        ),
        ["`demo::bank::fee` is inlined into it"]
    );
    let two = "        let doubled = x * 3;\n        doubled ^ 0x55";
    assert_eq!(
        said("demo::bank::balance", two, "        x ^ 0x55"),
        ["`demo::bank::rate` is inlined into it, as part of `demo::bank::fee`"]
    );
}

#[test]
fn a_closures_lines_are_the_closures() {
    assert_eq!(
        said("demo::bank::each", "0x1234", "0x4321").last().unwrap(),
        "`demo::bank::each::{closure#0}` is inlined into it, as part of \
         `<core::slice::iter::IterMut<u64> as core::iter::traits::iterator::Iterator>\
         ::for_each::<demo::bank::each::{closure#0}>`"
    );
}

#[test]
fn each_instance_of_a_generic_function_has_the_lines() {
    let new = SOURCE.replace("x / 11", "x / 13");
    let functions = functions(&new);
    let instances: Vec<_> = functions
        .iter()
        .filter(|one| one.path.starts_with("demo::bank::generic::<"))
        .collect();
    assert_eq!(instances.len(), 2);
    let edited = edited_lines(SOURCE, &new);
    for one in instances {
        let why = one.who(&|_, line| edited.iter().any(|range| range.contains(&(line - ABOVE))));
        assert_eq!(why.len(), 1, "{}", one.path);
        assert!(matches!(&why[0], Why::Own { lines, .. } if lines.len() == 1));
    }
}

#[test]
fn an_edit_elsewhere_is_no_reason() {
    let functions = functions(SOURCE);
    for one in functions.iter() {
        assert_eq!(one.who(&|_, _| false), []);
        assert_eq!(one.who(&|file, _| file == "src/other.rs"), []);
    }
    assert_eq!(functions.who("nothing", &|_, _| true), []);
}
