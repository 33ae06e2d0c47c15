//! The guided step: what it shows of a call, by every variant and on every way.

use crate::golden;
use crate::harness::{Boot, Run, kernel, trial};
use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use std::collections::BTreeSet;
use xtask::image::Image;
use xtask::outcome::Outcome;
use xtask::step::MACHINE;

/// The golden output's name.
pub const GOLDEN: &str = "step-epilogue";

/// What differs from build to build, besides what differs for all.
const FILTERS: [(&str, &str); 6] = [
    // Halves of addresses, which may be added or subtracted.
    (
        r"(?:add|sub)(is?) (r2|r\d+, r2|r2, r\d+), (?:(r\d+), )?-?0x[0-9a-f]+ *",
        "add$1 $2, [part]  ",
    ),
    (r"(lis r\d+|ori r\d+, r\d+), 0x[0-9a-f]+ *", "$1, [part]  "),
    // What was there before the call. Whether the line is folded is up to its digits.
    (
        r"\s+16\(r1\) of A: 0x[0-9a-f]+",
        "  16(r1) of A: [left over]",
    ),
    (
        r"sanitised_call_asm\+0x[0-9a-f]+",
        "sanitised_call_asm+[offset]",
    ),
    // The CPU's own data may grow.
    (r"0x[0-9a-f]+\(r13\)", "[offset](r13)"),
    (r"TOC of (\S+( demo)?): 0x[0-9a-f]+", "TOC of $1: [address]"),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("step::golden", golden),
        trial("step::as-posted", as_posted),
        trial("step::as-posted-faults", as_posted_faults),
        trial("step::arguments", arguments),
        trial("step::rest", rest),
        trial("step::refused", refused),
    ];
    for way in ["settled", "transition", "traced"] {
        trials.push(trial(&format!("step::{way}"), move || all_variants(way)));
    }
    trials
}

fn run(label: &str, machine: &str, arguments: &str) -> Result<Run> {
    let append = format!("mode=step {arguments}");
    let run = Boot::new(label, machine, &append)?.run()?;
    run.expect(&Outcome::Guest(0))?;
    check(&run).with_context(|| append)?;
    Ok(run)
}

fn text<'a>(record: &'a Value, field: &str) -> Result<&'a str> {
    let text = record[field].as_str();
    text.with_context(|| format!("no {field} in {record}"))
}

fn number(record: &Value, field: &str) -> Result<u64> {
    let number = record[field].as_u64();
    number.with_context(|| format!("no {field} in {record}"))
}

/// What holds of every call: it begins and ends at A, no line is missing, and the lines
/// add up to all instructions.
fn check(run: &Run) -> Result<()> {
    let steps = run.events("step");
    let (first, last) = (steps.first().context("no steps")?, steps[steps.len() - 1]);
    ensure!(first["part"] == "caller", "{first}");
    ensure!(last["part"] == "home", "{last}");
    let mut instructions = 0;
    for (expected, step) in (1..).zip(&steps) {
        ensure!(number(step, "number")? == expected, "{step}");
        instructions += number(step, "count")?;
        let part = text(step, "part")?;
        ensure!(
            number(step, "count")? <= 1 || matches!(part, "callback" | "callee"),
            "{step}"
        );
    }
    let call = run.event("stepped")?;
    ensure!(number(call, "instructions")? == instructions, "{call}");
    // Where A goes on is behind its call.
    ensure!(
        number(last, "address")? == number(first, "address")? + 4,
        "{first} {last}"
    );
    let widest = run.finished.transcript.lines().map(str::len).max();
    ensure!(widest <= Some(100), "a line has {widest:?} characters");
    Ok(())
}

fn golden() -> Result<()> {
    let run = run("step::golden", "default", "function=value")?;
    golden::compare_filtered(
        GOLDEN,
        "mode=step function=value",
        &run.finished.transcript,
        &FILTERS,
    )
}

/// The steps of a part.
fn of<'a>(run: &'a Run, part: &str) -> Vec<&'a Value> {
    let mut steps = run.events("step");
    steps.retain(|step| step["part"] == part);
    steps
}

/// Whether A has found something, and which lines are marked.
fn wrong(run: &Run) -> Vec<&Value> {
    let mut steps = run.events("step");
    steps.retain(|step| step["wrong"] == true);
    steps
}

/// Where address 0 has no page, the control's first wrong instruction faults, and nothing comes after it.
fn as_posted_faults() -> Result<()> {
    let append = "mode=step variant=epilogue-as-posted";
    let run = Boot::new("step::as-posted-faults", "default", append)?.run()?;
    run.expect(&Outcome::Guest(0))?;
    let steps = run.events("step");
    let last = steps.last().context("no steps")?;
    ensure!(text(last, "text")? == "lwa r2, 0xc(r0)", "{last}");
    ensure!(wrong(&run)[..] == [*last], "{:?}", wrong(&run));
    let findings = text(run.event("stepped")?, "findings")?;
    let expected = "the call is lost: load from address 0xc, by a null pointer, at ";
    ensure!(findings.starts_with(expected), "{findings}");
    Ok(())
}

/// In real mode the control shows the instructions that go wrong, and what comes of it.
fn as_posted() -> Result<()> {
    let arguments = "variant=epilogue-as-posted mmu=off";
    let run = run("step::as-posted", "default", arguments)?;
    let [toc, lr, home] = wrong(&run)[..] else {
        bail!("marked: {:?}", wrong(&run));
    };
    let convention = of(&run, "return convention");
    let base = convention.first().context("no return convention")?;
    // r0 is right, and is not taken.
    ensure!(
        text(base, "meaning")?.starts_with("r0 = A's frame"),
        "{base}"
    );
    for (step, instruction, address) in [
        (toc, "lwa r2, 0xc(r0)", "12"),
        (lr, "ld r0, 0x10(r0)", "16"),
    ] {
        ensure!(text(step, "text")? == instruction, "{step}");
        let meaning = format!(
            "r0 as a base register is the number 0, whatever it holds (A's frame): this reads address {address}"
        );
        ensure!(text(step, "meaning")?.starts_with(&meaning), "{step}");
    }
    ensure!(home["part"] == "home", "{home}");
    ensure!(
        text(home, "meaning")?.contains("no module's TOC; A's is "),
        "{home}"
    );
    let findings = text(run.event("stepped")?, "findings")?;
    ensure!(findings.starts_with("r2 is "), "{findings}");
    let transcript = &run.finished.transcript;
    let marked = transcript
        .lines()
        .filter(|line| line.get(4..5) == Some("!"));
    ensure!(marked.count() == 3, "{transcript}");
    Ok(())
}

/// Headings, each once and without what follows its colon.
fn headings(run: &Run) -> BTreeSet<&str> {
    let lines = run.finished.transcript.lines();
    let headings = lines.filter_map(|line| line.strip_prefix("-- "));
    headings
        .map(|line| line.split(':').next().unwrap_or(line))
        .collect()
}

/// Each variant comes back with the same result, under the same headings. The function
/// calls out of C, through stubs of its module.
fn all_variants(way: &str) -> Result<()> {
    let mut seen = None;
    for (variant, _) in &xtask::variants::of(kernel(Image::Lab)?)? {
        let variant = variant.as_str();
        // It differs from a transition in what is before the hand-off alone.
        if way == "traced" && !matches!(variant, "epilogue" | "livepatch-stack") {
            continue;
        }
        let label = format!("step::{way}-{variant}");
        // The control comes back only where it can read address 12.
        let mmu = if variant == "epilogue-as-posted" {
            "off"
        } else {
            "auto"
        };
        let arguments = format!("function=c_counts variant={variant} way={way} mmu={mmu}");
        let run = run(&label, MACHINE, &arguments).with_context(|| variant.to_owned())?;
        let call = run.event("stepped")?;
        let is_sound = text(call, "findings")?.is_empty();
        ensure!(is_sound == (variant != "epilogue-as-posted"), "{call}");
        ensure!(
            is_sound == wrong(&run).is_empty(),
            "{variant}: {:?}",
            wrong(&run)
        );
        let home = text(of(&run, "home")[0], "meaning")?;
        ensure!(
            is_sound == home.contains("r2 = TOC of the kernel, A's own"),
            "{variant}: {home}"
        );
        let expected = usize::from(way == "transition") + 2 * usize::from(way == "traced");
        ensure!(
            of(&run, "callback").len() == expected,
            "{variant}: callbacks"
        );
        ensure!(of(&run, "callee").len() == 2, "{variant}: callees");
        let hand_off = of(&run, "hand-off");
        ensure!(!hand_off.is_empty(), "{variant}: no hand-off");
        let found = (
            text(call, "result")?.to_owned(),
            headings(&run)
                .into_iter()
                .map(String::from)
                .collect::<Vec<_>>(),
        );
        let before = seen.get_or_insert_with(|| found.clone());
        ensure!(*before == found, "{variant}: {before:?} and {found:?}");
    }
    Ok(())
}

/// C looks for its ninth argument where its caller has put it; with the mini frame
/// between them, it comes to another. Both functions are leaves of C's compiler too.
fn arguments() -> Result<()> {
    for (variant, ninth) in [("epilogue", "argument 9"), ("mini-frame", "argument 5")] {
        let label = format!("step::arguments-{variant}");
        let run = run(
            &label,
            "default",
            &format!("function=sum9 variant={variant}"),
        )?;
        let meanings: Vec<&str> = (of(&run, "replacement").into_iter())
            .map(|step| text(step, "meaning"))
            .filter(|meaning| {
                meaning
                    .as_ref()
                    .is_ok_and(|text| text.contains("(argument "))
            })
            .collect::<Result<_>>()?;
        ensure!(
            !meanings.is_empty() && meanings.iter().all(|text| text.contains(ninth)),
            "{variant}: {meanings:?}"
        );
        let transcript = &run.finished.transcript;
        ensure!(
            transcript.contains("and should be 0xf435d (1000285): a wrong result")
                == (variant == "mini-frame"),
            "{transcript}"
        );
    }
    // gcc's -mprofile-kernel, without TOC set-up.
    let run = run(
        "step::arguments-c",
        "default",
        "function=lab_leaf way=transition",
    )?;
    let site = of(&run, "site");
    ensure!(
        site.len() == 2 && site[0]["symbol"] == "lab_leaf+0x0",
        "{site:?}"
    );
    ensure!(
        text(run.event("stepped")?, "result")? == "0xf426a",
        "the result"
    );
    Ok(())
}

/// Without a patch the call stays in B.
fn rest() -> Result<()> {
    let run = run("step::rest", "default", "function=c_counts way=rest")?;
    ensure!(
        of(&run, "replacement").is_empty() && !of(&run, "function").is_empty(),
        "not in B"
    );
    Ok(())
}

/// Names that there are not are answered with those that there are.
fn refused() -> Result<()> {
    for (arguments, answer) in [
        ("function=missing", "allowed: leaf, "),
        ("function=a,b", "allowed: a function's path"),
        ("way=fast", "allowed: settled, transition, traced, rest"),
        ("variant=telepathy", "allowed: epilogue, "),
    ] {
        let append = format!("mode=step {arguments}");
        let run = Boot::new("step::refused", "default", &append)?.run()?;
        run.expect(&Outcome::Guest(2))?;
        let transcript = &run.finished.transcript;
        ensure!(transcript.contains(answer), "{transcript}");
    }
    Ok(())
}
