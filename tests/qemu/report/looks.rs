//! Whether every reader can read the page: by ear, on any screen, in any light, on paper.

use crate::browser::Browser;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Least contrast of text and its background: WCAG 2.2, 1.4.3, level AA, for small text.
const CONTRAST: f64 = 4.5;

/// All text with less contrast than that: what it says, and the contrast. Text that is
/// only for the ear is left out.
const PALE: &str = r"(least => {
  const parse = text => { const n = text.match(/[\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n };
  const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92
    : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * x + 0.7152 * y + 0.0722 * z };
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c[3] === 1) return c } return [255, 255, 255, 1] };
  const found = [];
  let seen = 0;
  for (const e of document.querySelectorAll('body *')) {
    const text = [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join('').trim();
    if (!text || e.closest('.hidden, .skip') || !e.getClientRects().length) continue;
    seen++;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least) found.push([text, ratio]);
  }
  return [seen, found];
})";

/// What stands in the way of something else, or has not enough room: labels of the time
/// axis that touch each other, headings of a call's parts in the column of its numbers,
/// bars without a width.
const CRAMPED: &str = r"(() => {
  const found = [];
  const box = e => e.getBoundingClientRect();
  for (const axis of document.querySelectorAll('.axis')) {
    const labels = [...axis.querySelectorAll('.piece > span, .turn-label')];
    labels.forEach((one, i) => {
      const a = box(one);
      if (!a.width || !a.height) found.push(['not shown', one.innerText]);
      for (const other of labels.slice(i + 1)) {
        const b = box(other);
        if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
          found.push(['touch', one.innerText, other.innerText]);
      }
    });
  }
  for (const head of document.querySelectorAll('.steps .part th'))
    if (box(head).width < 200) found.push(['narrow', head.innerText]);
  for (const bars of document.querySelectorAll('.bar tbody .drawn'))
    if (bars.getClientRects().length && box(bars).width < 50) found.push(['no room for bars', bars.parentElement.innerText]);
  return found.slice(0, 5);
})()";

/// By the browser's own accessibility tree: tables and regions have names, headings
/// follow each other, each lane is a row with the thread as its header and its sides in
/// words, and no graphic is read.
pub fn named(browser: &mut Browser) -> Result<()> {
    let tree = browser.call("Accessibility.getFullAXTree", json!({}))?;
    let nodes = tree["nodes"].as_array().context("no tree")?;
    let read: Vec<&Value> = nodes
        .iter()
        .filter(|node| node["ignored"] != true)
        .collect();
    let of = |role: &str| -> Vec<&str> {
        let with_role = read.iter().filter(|node| node["role"]["value"] == role);
        with_role
            .map(|node| node["name"]["value"].as_str().unwrap_or_default())
            .collect()
    };
    for (role, least) in [
        ("table", 10),
        ("region", 10),
        ("navigation", 1),
        ("link", 10),
        ("heading", 10),
    ] {
        let names = of(role);
        ensure!(
            names.len() >= least && names.iter().all(|name| !name.trim().is_empty()),
            "{role}: {names:?}"
        );
    }
    let headers = of("rowheader");
    ensure!(
        headers.contains(&"teller") && headers.contains(&"arguments-9"),
        "{headers:?}"
    );
    let images: Vec<&str> = of("image")
        .into_iter()
        .filter(|name| name.is_empty())
        .collect();
    ensure!(images.is_empty(), "{} images without a name", images.len());
    // What is only drawn is explained.
    let legend = browser.value("document.querySelector('.legend').innerText")?;
    let legend = legend.as_str().unwrap_or_default();
    for sign in ["wait", "turned round", "blocked", "by force"] {
        ensure!(legend.contains(sign), "no {sign} in the legend: {legend}");
    }
    let sides = of("cell");
    let lanes = sides
        .iter()
        .filter(|name| name.contains("side until ") && name.ends_with("side to the end"));
    ensure!(lanes.count() > 40, "lanes are not in words: {sides:?}");
    let levels = browser
        .value("[...document.querySelectorAll('h1, h2, h3, h4')].map(e => Number(e.tagName[1]))")?;
    let levels: Vec<u64> = levels
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .collect();
    ensure!(
        levels.first() == Some(&1) && levels.windows(2).all(|pair| pair[1] <= pair[0] + 1),
        "headings: {levels:?}"
    );
    let twice = browser.value(
        "(ids => ids.filter((id, i) => ids.indexOf(id) !== i))([...document.querySelectorAll('[id]')].map(e => e.id))",
    )?;
    ensure!(twice == json!([]), "the same id twice: {twice}");
    Ok(())
}

/// Nothing makes the page wider than the screen, no table is wider than the page, and
/// nothing stands where something else does.
pub fn fits(browser: &mut Browser) -> Result<()> {
    for width in [1400_u64, 1201, 1000, 800, 400, 360] {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        browser.call("Emulation.setDeviceMetricsOverride", size)?;
        let wide = browser.value(
            "[document.documentElement.scrollWidth, [...document.querySelectorAll('body *')] \
             .filter(e => !e.closest('.hidden, .skip, .matrix .word, .matrix .of') \
                 && e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5) \
             .slice(0, 5).map(e => e.outerHTML.slice(0, 120))]",
        )?;
        let fits = wide[0].as_u64().is_some_and(|found| found <= width);
        ensure!(fits && wide[1] == json!([]), "at {width}: {wide}");
        let cramped = browser.value(CRAMPED)?;
        ensure!(cramped == json!([]), "at {width}: {cramped}");
    }
    browser.call("Emulation.clearDeviceMetricsOverride", json!({}))?;
    Ok(())
}

/// It has two looks, as the reader wishes, and text stands out in both.
pub fn light_and_dark(browser: &mut Browser) -> Result<()> {
    let mut papers = Vec::new();
    for look in ["light", "dark"] {
        let features = json!([{"name": "prefers-color-scheme", "value": look}]);
        browser.call("Emulation.setEmulatedMedia", json!({"features": features}))?;
        papers.push(browser.value("getComputedStyle(document.body).backgroundColor")?);
        let pale = browser.value(&format!("{PALE}({CONTRAST})"))?;
        let seen = pale[0].as_u64().unwrap_or(0);
        ensure!(
            seen > 300 && pale[1] == json!([]),
            "{look}: pale text: {pale}"
        );
    }
    ensure!(
        papers[0] != papers[1],
        "light and dark are both {}",
        papers[0]
    );
    browser.call("Emulation.setEmulatedMedia", json!({"features": []}))?;
    Ok(())
}

/// It can be printed, in dark surroundings too: on white paper.
pub fn printed(browser: &mut Browser) -> Result<()> {
    let features = json!([{"name": "prefers-color-scheme", "value": "dark"}]);
    let media = json!({"media": "print", "features": features});
    browser.call("Emulation.setEmulatedMedia", media)?;
    let paper = browser.value("getComputedStyle(document.body).backgroundColor")?;
    ensure!(paper == "rgb(255, 255, 255)", "the paper is {paper}");
    let pale = browser.value(&format!("{PALE}({CONTRAST})"))?;
    ensure!(pale[1] == json!([]), "pale text: {pale}");
    // 190 mm, what the margins leave of the paper.
    let size = json!({"width": 718, "height": 1000, "deviceScaleFactor": 1, "mobile": false});
    browser.call("Emulation.setDeviceMetricsOverride", size)?;
    let cramped = browser.value(CRAMPED)?;
    ensure!(cramped == json!([]), "on paper: {cramped}");
    browser.call("Emulation.clearDeviceMetricsOverride", json!({}))?;
    let pdf = browser.call("Page.printToPDF", json!({"preferCSSPageSize": true}))?;
    let data = pdf["data"].as_str().unwrap_or_default();
    // `%PDF-`, in base 64.
    ensure!(
        data.starts_with("JVBERi0") && data.len() > 50_000,
        "no PDF: {} bytes",
        data.len()
    );
    browser.call(
        "Emulation.setEmulatedMedia",
        json!({"media": "", "features": []}),
    )?;
    Ok(())
}
