//! Links in the documents lead somewhere, and what they name is there.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    xtask::tool::workspace().to_owned()
}

/// All documents: README.md and what lies in `docs`.
fn documents() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("docs")).expect("there are documents");
    let mut all: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect();
    all.push(root().join("README.md"));
    all.push(root().join("CONTRIBUTING.md"));
    all.sort();
    all
}

/// The links of a document outside its code blocks: text and target.
fn links(text: &str) -> Vec<(String, String)> {
    let mut outside = String::new();
    for (number, part) in text.split("```").enumerate() {
        if number % 2 == 0 {
            outside += part;
        }
    }
    let mut links = Vec::new();
    let mut rest = &outside[..];
    while let Some((before, behind)) = rest.split_once("](") {
        let label = before.rsplit_once('[').map_or("", |(_, label)| label);
        let target = behind.split(')').next().unwrap_or_default();
        links.push((label.replace('\n', " "), target.to_owned()));
        rest = behind;
    }
    links
}

/// What GitHub makes of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

fn has_heading(text: &str, wanted: &str) -> bool {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    { headings }.any(|line| anchor(line.trim_start_matches('#').trim()) == wanted)
}

/// Whether a name, or the last part of a path, stands in a text as a word.
fn names(text: &str, path: &str) -> bool {
    let name = path.rsplit("::").next().unwrap_or(path);
    let name = name.trim_end_matches("()").trim_end_matches('!');
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let behind = text[at + name.len()..].chars().next();
        !before.is_some_and(is_part) && !behind.is_some_and(is_part)
    })
}

/// What is wrong with a link, if anything.
fn problem(document: &Path, label: &str, target: &str) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = match file {
        "" => document.to_owned(),
        file => document.parent()?.join(file),
    };
    if !path.exists() {
        return Some(format!("there is no {file}"));
    }
    if path.is_dir() {
        return None;
    }
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    if !heading.is_empty() && !has_heading(&text, heading) {
        return Some(format!("{file} has no heading {heading}"));
    }
    // A label that is code and nothing else names an item of the file.
    let item = label
        .strip_prefix('`')
        .and_then(|label| label.strip_suffix('`'))?;
    (!names(&text, item)).then(|| format!("{file} does not name {item}"))
}

#[test]
fn links_lead_to_what_they_name() {
    let mut problems = Vec::new();
    let mut count = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("a document can be read");
        for (label, target) in links(&text) {
            count += 1;
            if let Some(problem) = problem(&document, &label, &target) {
                let name = document.file_name().unwrap_or_default().display();
                problems.push(format!("{name}: [{label}]({target}): {problem}"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count > 100, "only {count} links");
}

/// A number that the bench has counted, as accepted.
fn counted(file: &str, what: &str) -> u64 {
    let text = std::fs::read_to_string(root().join("tests/golden").join(file));
    let text = text.expect("a golden file can be read");
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(what)?.strip_prefix(": "));
    let value = value.and_then(|value| value.split(' ').next()?.parse().ok());
    value.unwrap_or_else(|| panic!("{file} has no {what}"))
}

#[test]
fn numbers_are_those_of_the_bench() {
    let read = |name: &str| {
        let text = std::fs::read_to_string(root().join("docs").join(name));
        // A line's end may be anywhere.
        text.expect("a document can be read").replace('\n', " ")
    };
    let must_say = |name: &str, wanted: &str| {
        assert!(read(name).contains(wanted), "{name} does not say: {wanted}");
    };
    for (measure, about) in [
        ("rest", "the site, with nothing attached"),
        ("traced", "an empty callback"),
        ("traced_regs", "an empty callback that gets all registers"),
    ] {
        let count = counted("bench.snap", measure);
        must_say("ftrace.md", &format!("| `{measure}`: {about} | {count} |"));
    }
    let of = |what: &str| counted("bench-variants.snap", what);
    let more = of("livepatch-stack settled") - of("epilogue settled");
    must_say(
        "abi.md",
        &format!("{more} instructions a call more than `epilogue`"),
    );
    let each = of("livepatch-stack stack_bytes") - of("epilogue stack_bytes");
    must_say(
        "abi.md",
        &format!("The price: {each} bytes for each call that has not returned"),
    );
    let words = counted("bench.snap", "settled_stub") / 4;
    assert_eq!(words, 6);
    must_say("livepatch.md", "The settled stub is six instructions");
}

/// Whether a text defines a name: in Rust, or as a label of assembly code.
fn defines(text: &str, name: &str) -> bool {
    let rust = [
        "fn ",
        "struct ",
        "enum ",
        "static ",
        "const ",
        "macro_rules! ",
    ];
    let label = [format!("\"{name}:\""), format!("function {name}\n")];
    let mut items = rust.iter().map(|kind| format!("{kind}{name}"));
    items.any(|item| names(text, &item)) || label.iter().any(|label| text.contains(label))
}

#[test]
fn the_tour_leads_to_definitions() {
    let tour = root().join("docs/tour.md");
    let text = std::fs::read_to_string(&tour).expect("the tour can be read");
    let mut problems = Vec::new();
    let mut count = 0;
    for (label, target) in links(&text) {
        let item = label
            .strip_prefix('`')
            .and_then(|label| label.strip_suffix('`'));
        let Some(item) = item else { continue };
        count += 1;
        let file = root().join("docs").join(&target);
        let code = std::fs::read_to_string(&file).unwrap_or_default();
        if !defines(&code, item) {
            problems.push(format!("{target} does not define {item}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count > 30, "only {count} names");
    assert!(!defines("pub use x::Change; // fn changed()", "Change"));
    assert!(!defines("fn change_all() {}", "change"));
}

#[test]
fn what_documents_tell_to_make_is_a_target() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).expect("the Makefile");
    let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
    let targets: Vec<&str> = (makefile.lines())
        .filter_map(|line| line.split_once(':'))
        .map(|(target, _)| target)
        .filter(|target| !target.is_empty() && target.chars().all(is_word))
        .collect();
    let mut count = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).expect("a document can be read");
        for told in ["`make ", "$ make "]
            .map(|before| text.split(before).skip(1))
            .into_iter()
            .flatten()
        {
            let target = told.split(|c: char| !is_word(c)).next().unwrap_or_default();
            // One may name variables alone.
            if !target.is_empty() {
                count += 1;
                assert!(
                    targets.contains(&target),
                    "{}: make {target}",
                    document.display()
                );
            }
        }
    }
    assert!(count > 50, "only {count} commands");
}

#[test]
fn wrong_links_are_noticed() {
    let tour = root().join("docs/tour.md");
    let wrong = [
        ("x", "nothing.md"),
        ("x", "abi.md#no-such-heading"),
        ("`no_such_item`", "../kernel/init/src/lib.rs"),
        ("`on_main`", "../kernel/init/src/lib.rs"),
    ];
    for (label, target) in wrong {
        assert!(problem(&tour, label, target).is_some(), "{target}");
    }
    let right = [
        ("x", "abi.md#the-site"),
        ("`kernel::on_main_stack`", "../kernel/init/src/lib.rs"),
    ];
    for (label, target) in right {
        assert_eq!(problem(&tour, label, target), None);
    }
    let text = "a [b](c) `d` [`e`](f#g)\n```\n[h](i)\n```\n[j\nk](l)";
    let found = links(text);
    let found: Vec<_> = found.iter().map(|(a, b)| (&a[..], &b[..])).collect();
    assert_eq!(found, [("b", "c"), ("`e`", "f#g"), ("j k", "l")]);
}

/// The table of locks in `docs/cpus.md` is the order that the kernel is held to.
#[test]
fn the_order_of_locks_is_shown() {
    let text = std::fs::read_to_string(root().join("docs/cpus.md")).expect("docs/cpus.md");
    let (_, table) = text
        .split_once("| lock | orders |\n|---|---|\n")
        .expect("its table");
    let shown: Vec<&str> = table.lines().take_while(|line| !line.is_empty()).collect();
    let row = |row: &lockorder::Row| format!("| `{}` | {} |", row.locks.join("`, `"), row.orders);
    let declared: Vec<String> = lockorder::ORDER.iter().map(row).collect();
    assert_eq!(shown, declared);
}

/// Each lock of the kernel is made by its name in the order, and each name is one of a lock.
#[test]
fn each_lock_of_the_kernel_has_a_row() {
    let files = xtask::tool::files_below(&root().join("kernel")).expect("the kernel's files");
    let mut made = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source");
        assert!(
            !text.contains("IrqLock::new("),
            "{}: a lock without a name",
            file.display()
        );
        for rest in text.split("::named(").skip(1) {
            if let Some(name) = rest.trim_start().strip_prefix('"') {
                made.extend(name.split('"').next().map(String::from));
            }
        }
    }
    let rows = lockorder::ORDER.iter().flat_map(|row| row.locks);
    let mut declared: Vec<_> = rows.map(|name| name.to_string()).collect();
    made.sort();
    declared.sort();
    assert_eq!(made, declared);
}
