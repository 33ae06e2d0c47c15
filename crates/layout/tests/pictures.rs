//! The pictures in `docs/abi.md` have the offsets that the structs have.
//!
//! A picture is a block that has ` ```text ` and the names of structs as its first line.
//! A row of it is a `│`, an offset, and the field that lies there.

use layout::{CallFrame, FrameHeader};
use std::collections::BTreeSet;
use std::mem::{offset_of, size_of};

const TEXT: &str = include_str!("../../../docs/abi.md");

/// Where a field is, by the struct's name and its own.
fn offset(of: &str, field: &str) -> Option<usize> {
    Some(match (of, field) {
        ("FrameHeader", "back_chain") => offset_of!(FrameHeader, back_chain),
        ("FrameHeader", "cr_save") => offset_of!(FrameHeader, cr_save),
        ("FrameHeader", "reserved") => offset_of!(FrameHeader, reserved),
        ("FrameHeader", "lr_save") => offset_of!(FrameHeader, lr_save),
        ("FrameHeader", "toc_save") => offset_of!(FrameHeader, toc_save),
        ("CallFrame", "gpr") => offset_of!(CallFrame, gpr),
        ("CallFrame", "nip") => offset_of!(CallFrame, nip),
        ("CallFrame", "site") => offset_of!(CallFrame, site),
        ("CallFrame", "msr") => offset_of!(CallFrame, msr),
        ("CallFrame", "cr") => offset_of!(CallFrame, cr),
        _ => return None,
    })
}

/// The number and the word that a row begins with; no word if there are blanks in
/// place of one.
fn row(line: &str) -> Option<(usize, &str)> {
    let (_, inside) = line.split_once('│')?;
    let inside = inside.trim_start();
    let digits = inside.find(|c: char| !c.is_ascii_digit())?;
    let number = inside[..digits].parse().ok()?;
    let rest = &inside[digits..];
    let blanks = rest.len() - rest.trim_start().len();
    let word = rest.split_whitespace().next().unwrap_or_default();
    Some((number, if blanks > 4 { "" } else { word }))
}

#[test]
fn the_pictures_have_the_structs_offsets() {
    let mut seen = BTreeSet::new();
    for block in TEXT.split("```text ").skip(1) {
        let (structs, body) = block.split_once('\n').expect("a block has lines");
        let picture = body.split("```").next().unwrap_or_default();
        let mut rows = 0;
        for line in picture.lines() {
            let Some((number, field)) = row(line) else {
                continue;
            };
            rows += 1;
            if field.is_empty() {
                // What follows the header.
                assert_eq!(number, size_of::<FrameHeader>(), "{line}");
                continue;
            }
            let found = structs.split(' ').find_map(|of| offset(of, field));
            assert_eq!(found, Some(number), "{line}\nin a picture of {structs}");
            seen.insert(field.to_owned());
        }
        assert!(rows >= 3, "a picture with {rows} rows: {picture}");
    }
    for field in [
        "back_chain",
        "cr_save",
        "reserved",
        "lr_save",
        "toc_save",
        "gpr",
        "nip",
        "site",
        "cr",
    ] {
        assert!(seen.contains(field), "no picture shows {field}");
    }
}

/// The instructions in the text have the same offsets.
#[test]
fn the_instructions_have_the_structs_offsets() {
    let places = [
        ("ld  r11, {}(r1)", offset_of!(FrameHeader, back_chain)),
        ("lwa r2, {}(r11)", offset_of!(FrameHeader, reserved)),
        ("ld  r0, {}(r11)", offset_of!(FrameHeader, lr_save)),
        ("stw  r11, {}(r1)", offset_of!(FrameHeader, reserved)),
        ("ld r2,{}(r1)", offset_of!(FrameHeader, toc_save)),
    ];
    for (pattern, offset) in places {
        let text = pattern.replace("{}", &offset.to_string());
        assert!(TEXT.contains(&text), "no `{text}`");
    }
    let zone = format!("{} bytes are protected", layout::RED_ZONE);
    assert!(TEXT.contains(&zone), "{zone}");
}
