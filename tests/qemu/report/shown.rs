//! Whether the page shows what was reported: all of it, in its place, and nothing else.

use crate::browser::Browser;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What the page has for each element that `selector` finds, by an expression in `e`.
pub fn each(browser: &mut Browser, selector: &str, expression: &str) -> Result<Vec<Value>> {
    let all = format!("[...document.querySelectorAll({selector:?})].map(e => {expression})");
    let found = browser.value(&all)?;
    found
        .as_array()
        .cloned()
        .with_context(|| format!("{all}: {found}"))
}

/// Compares what was found with what has to be, in any order.
fn same(what: &str, found: &[Value], wanted: &[Value]) -> Result<()> {
    let texts = |values: &[Value]| values.iter().map(Value::to_string).collect::<BTreeSet<_>>();
    let (on_page, in_file) = (texts(found), texts(wanted));
    let lacking: Vec<_> = in_file.difference(&on_page).collect();
    let extra: Vec<_> = on_page.difference(&in_file).collect();
    ensure!(
        found.len() == wanted.len() && lacking.is_empty() && extra.is_empty() && !found.is_empty(),
        "{what}: {} on the page, {} reported; lacking: {lacking:?}, too much: {extra:?}",
        found.len(),
        wanted.len()
    );
    Ok(())
}

/// The records of a kind, each with the number and start of the transition it is in.
fn in_transitions<'a>(records: &'a [Value], event: &str) -> Vec<(&'a Value, u64, u64)> {
    let (mut number, mut start) = (0, 0);
    let mut found = Vec::new();
    for record in records {
        if record["event"] == "transition" && record["reversed"] == false {
            number = record["number"].as_u64().unwrap_or(0);
            start = record["time"].as_u64().unwrap_or(0);
        }
        if record["event"] == event {
            found.push((record, number, start));
        }
    }
    found
}

fn since(record: &Value, start: u64) -> String {
    let time = record["time"].as_u64().unwrap_or(0);
    (time - start).to_string()
}

/// Each switch of the log is a mark in its lane, where its side changes, and a sentence.
pub fn every_switch(browser: &mut Browser, records: &[Value]) -> Result<()> {
    let wanted = in_transitions(records, "switch");
    let wanted: Vec<Value> = wanted
        .into_iter()
        .map(|(record, number, start)| {
            json!([
                number.to_string(),
                record["thread"].to_string(),
                record["name"],
                record["how"],
                since(record, start)
            ])
        })
        .collect();
    ensure!(
        wanted.len() > 40,
        "only {} switches in the log",
        wanted.len()
    );
    let row = "[e.closest('section').dataset.transition, e.closest('tr').dataset.thread, \
        e.closest('tr').querySelector('th').innerText, e.dataset.how, e.dataset.ticks]";
    for sign in [".lane .switch", ".what .went"] {
        same(sign, &each(browser, sign, row)?, &wanted)?;
    }
    // Marks stand where the sides of their lane meet, to the pixel.
    let place = "[...e.querySelectorAll('.switch')].map((mark, i) => Math.abs(mark.getBoundingClientRect().left \
        - e.querySelectorAll('.side:not(.blocked)')[i].getBoundingClientRect().right))";
    let off = each(browser, ".lane", place)?;
    let off = off
        .iter()
        .flat_map(|lane| lane.as_array().into_iter().flatten());
    let off: Vec<f64> = off.filter_map(Value::as_f64).collect();
    ensure!(
        off.len() == wanted.len() && off.iter().all(|&pixels| pixels < 1.0),
        "marks are not where sides meet: {off:?}"
    );
    // A glance at the words: how, when and where.
    let said = each(browser, ".what .went", "e.innerText")?;
    for (record, ..) in in_transitions(records, "switch") {
        let cpu = format!(", on CPU {}", record["cpu"]);
        let mut said = said.iter().filter_map(Value::as_str);
        ensure!(said.any(|said| said.ends_with(&cpu)), "no `{cpu}`");
    }
    let is_sentence = |said: &&Value| {
        let said = said.as_str().unwrap_or_default();
        let Some((said, "0" | "1")) = said.split_once(", on CPU ") else {
            return false;
        };
        let ways = [
            "at a safe point",
            "asleep, with a clean stack",
            "looking at its own stack",
        ];
        said.contains(" after ") && ways.iter().any(|way| said.ends_with(way))
    };
    let bad: Vec<&Value> = said.iter().filter(|said| !is_sentence(said)).collect();
    ensure!(bad.is_empty(), "{bad:?}");
    Ok(())
}

/// Each blocked stretch is drawn, and says which function it was, or which CPU.
pub fn every_block(browser: &mut Browser, records: &[Value]) -> Result<()> {
    let wanted = in_transitions(records, "blocked");
    let wanted: Vec<Value> = wanted
        .into_iter()
        .map(|(record, number, start)| {
            let said = match &record["function"] {
                function if function == "" => &record["reason"],
                function => function,
            };
            json!([
                number.to_string(),
                record["name"],
                record["function"],
                said,
                since(record, start),
                1
            ])
        })
        .collect();
    let said = |row: &Value| {
        let said = row[3].as_str();
        said.is_some_and(|said| said.ends_with("::balance") || said.starts_with("it runs on CPU "))
    };
    ensure!(wanted.iter().all(said), "no function: {wanted:?}");
    let row = "[e.closest('section').dataset.transition, e.closest('tr').querySelector('th').innerText, \
        e.dataset.function, e.querySelector('code')?.innerText ?? e.innerText.split(' blocked: ')[1], e.dataset.ticks, \
        [...e.closest('tr').querySelectorAll('.lane .blocked')].filter(b => b.getBoundingClientRect().width > 5).length]";
    same("blocked", &each(browser, ".held", row)?, &wanted)
}

/// Each cell is there, in its row and column, with its word.
pub fn every_cell(browser: &mut Browser, matrix: &Value) -> Result<()> {
    let cells = matrix["cells"].as_array().context("no cells")?;
    let word = |judgement: &Value| match judgement.as_str() {
        Some("not_applicable") => json!("n/a"),
        _ => judgement.clone(),
    };
    let wanted: Vec<Value> = cells
        .iter()
        .map(|cell| json!([cell["variant"], cell["case"], word(&cell["observed"])]))
        .collect();
    let kinds: BTreeSet<String> = wanted.iter().map(|cell| cell[2].to_string()).collect();
    ensure!(kinds.len() == 4, "not all judgements: {kinds:?}");
    let row = "[e.closest('table').tHead.rows[0].cells[e.cellIndex].innerText, \
        e.parentElement.cells[0].innerText, e.querySelector('.word').innerText.trim()]";
    same(
        "cells",
        &each(browser, ".matrix td[data-case]", row)?,
        &wanted,
    )?;
    // What is no pass leads to its reason.
    let reasons = "[e.closest('td').dataset.variant, e.closest('td').dataset.case, \
        document.querySelector(e.getAttribute('href')).cells[2].innerText]";
    let wanted = cells.iter().filter(|cell| cell["observed"] != "pass");
    let wanted: Vec<Value> = wanted
        .map(|cell| json!([cell["variant"], cell["case"], cell["reason"]]))
        .collect();
    same("reasons", &each(browser, ".matrix td a", reasons)?, &wanted)
}

/// Each number of the meter is there, and the longest bar of a table is the largest.
pub fn every_number(browser: &mut Browser, costs: &Value) -> Result<()> {
    let rows = costs["rows"].as_array().context("no rows")?;
    let variant = |row: &Value| row["variant"].as_str().unwrap_or_default().to_owned();
    let wanted: Vec<Value> = rows
        .iter()
        .map(|row| json!([variant(row), row["measure"], row["value"].to_string()]))
        .collect();
    let row = "[e.dataset.variant, e.dataset.measure, e.querySelector('b').innerText]";
    same(
        "numbers",
        &each(browser, ".value[data-measure]", row)?,
        &wanted,
    )?;
    // Bars are as long as their numbers, to a pixel.
    let bar = "(() => { const rows = [...e.tBodies[0].rows].map(r => [r.querySelector('.drawn span') \
        .getBoundingClientRect().width, Number(r.querySelector('b').innerText)]); \
        const most = Math.max(...rows.map(r => r[1])), full = e.querySelector('.drawn').clientWidth; \
        return Math.max(...rows.map(r => Math.abs(r[0] / r[1] * most - rows.find(x => x[1] == most)[0]))) })()";
    let off = each(browser, ".bar:not(.parts)", bar)?;
    ensure!(
        off.len() > 5
            && off
                .iter()
                .all(|off| off.as_f64().is_some_and(|off| off < 2.0)),
        "bars are not as long as their numbers: {off:?}"
    );
    Ok(())
}

/// Each step is there, in its order, as it was written, and the two parts that matter
/// are marked.
pub fn every_step(browser: &mut Browser, steps: &Value) -> Result<()> {
    let ends = each(browser, "#steps p.said", "e.innerText")?;
    let end = ends.first().and_then(Value::as_str).unwrap_or_default();
    ensure!(
        ends.len() == 1
            && ["4711 ", " 0x815.", ": r2 is <lost>"]
                .iter()
                .all(|part| end.contains(part)),
        "the call's end: {ends:?}"
    );
    let steps = steps["steps"].as_array().context("no steps")?;
    let wanted: Vec<Value> = steps
        .iter()
        .map(|step| {
            let wrong = if step["wrong"] == true {
                "✗ Here it goes wrong. "
            } else {
                ""
            };
            let meaning = format!("{wrong}{}", step["meaning"].as_str().unwrap_or_default());
            json!([
                step["number"].to_string(),
                step["text"],
                step["part"],
                meaning
            ])
        })
        .collect();
    let row = "[e.dataset.step, e.querySelector('.text').innerText, e.closest('tbody').dataset.part, \
        e.querySelector('.meaning').innerText]";
    let found = each(browser, ".steps tr[data-step]", row)?;
    ensure!(found == wanted, "steps: {found:?}\nreported: {wanted:?}");
    let marked = each(
        browser,
        ".steps tbody.hand-off, .steps tbody.return",
        "e.dataset.part",
    )?;
    ensure!(
        marked == ["hand-off", "return convention"],
        "marked: {marked:?}"
    );
    Ok(())
}
