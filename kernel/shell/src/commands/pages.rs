//! `pages`: what may be done with which memory.

use crate::{error::Outcome, interpret::Session};
use alloc::vec::Vec;
use core::fmt::Write as _;
use machine::{
    console::{Painted, Tone},
    mm,
    mmu::{self, Kind, Page},
};

/// Pages that follow each other and allow the same, of one area.
struct Span {
    first: Page,
    end: u64,
    area: &'static str,
}

/// All pages that there are, by address.
fn spans() -> Vec<Span> {
    let mut all = Vec::new();
    mmu::walk(&mut |page| all.push(page));
    all.sort_unstable_by_key(|page| page.address);
    let mut spans: Vec<Span> = Vec::new();
    for page in all {
        let (end, area) = (
            page.address + page.size,
            mm::area_at(page.memory).map_or("", |area| area.name),
        );
        match spans.last_mut() {
            Some(last)
                if last.end == page.address
                    && last.first.access == page.access
                    && last.area == area =>
            {
                last.end = end;
            }
            _ => spans.push(Span {
                first: page,
                end,
                area,
            }),
        }
    }
    spans
}

/// Shows the pages.
pub fn run(session: &mut Session, _: &[&str]) -> Outcome {
    let out = &mut session.out;
    let by = match mmu::kind() {
        Kind::Off => {
            writeln!(
                out,
                "addresses are not translated: all memory is read, written and executed"
            )?;
            return Ok(());
        }
        Kind::Radix => "the radix tree",
        Kind::Hash => "the hashed table",
    };
    writeln!(out, "addresses are translated by {by}")?;
    let title = format_args!("  {:<16}  {:<16}  {:>9}       ", "from", "to", "size");
    writeln!(out, "{}", Painted(Tone::Heading, title))?;
    for Span { first, end, area } in spans() {
        writeln!(
            out,
            "  {:016x}  {end:016x}  {:>5} KiB  {}  {area}",
            first.address,
            (end - first.address) >> 10,
            first.access,
        )?;
    }
    Ok(())
}
