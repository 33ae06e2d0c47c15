use super::*;
use crate::format::{AT_COUNT, AT_GLOBAL, AT_INDEX, AT_NAME_END, HEADER};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

fn function(name: &str, address: u64, size: u64) -> SymbolSpec {
    SymbolSpec {
        name: name.into(),
        address,
        size,
        kind: Kind::Function,
        local_entry: 0,
        global: true,
    }
}

/// Two functions in v0 mangling, one in legacy mangling, a C function.
pub const V0: &str = "_RNvNtCs1234_6kernel4text5write";
pub const V0_OTHER_CRATE_HASH: &str = "_RNvNtCs5678_6kernel4text5write";
pub const LEGACY: &str = "_ZN6kernel4text5flush17h05af221e174051e9E";
pub const C: &str = "memcpy";

fn sample() -> Vec<SymbolSpec> {
    let mut local = function(V0, 0x100, 0x40);
    local.global = false;
    local.local_entry = 8;
    let mut object = function("_ZN6kernel5STATE17h05af221e174051e9E", 0x1000, 0x100);
    object.kind = Kind::Object;
    vec![
        object,
        function(LEGACY, 0x140, 0x20),
        local,
        function(C, 0x200, 0x80),
        function("label_in_memcpy", 0x220, 0),
    ]
}

fn name_at(table: &Table<'_>, address: u64) -> Option<(String, u64)> {
    let (symbol, offset) = table.at(address)?;
    Some((symbol.name.into(), offset))
}

#[test]
fn symbols_come_back_as_they_were_sorted_by_address() {
    let mut symbols = sample();
    let blob = encode(&mut symbols).unwrap();
    let table = Table::parse(&blob).unwrap();
    assert_eq!(table.len(), 5);
    assert!(symbols.is_sorted_by_key(|symbol| symbol.address));
    assert!(table.iter().eq(symbols.iter().map(SymbolSpec::as_symbol)));
    let write = table.find("kernel::text::write").unwrap();
    assert_eq!(
        (write.address, write.size, write.local_entry),
        (0x100, 0x40, 8)
    );
    assert_eq!((write.kind, write.global), (Kind::Function, false));
}

#[test]
fn an_address_belongs_to_the_symbol_around_it() {
    let blob = encode(&mut sample()).unwrap();
    let table = Table::parse(&blob).unwrap();
    let found = |name: &str, offset| Some((name.into(), offset));
    assert_eq!(name_at(&table, 0xff), None);
    assert_eq!(name_at(&table, 0x100), found(V0, 0));
    assert_eq!(name_at(&table, 0x13f), found(V0, 0x3f));
    assert_eq!(name_at(&table, 0x140), found(LEGACY, 0));
    assert_eq!(name_at(&table, 0x160), None, "between two symbols");
    assert_eq!(name_at(&table, 0x220), found("label_in_memcpy", 0));
    assert_eq!(name_at(&table, 0x224), found(C, 0x24), "behind the label");
    assert_eq!(name_at(&table, 0x280), None);
    assert_eq!(name_at(&table, u64::MAX), None);
}

#[test]
fn of_several_names_for_an_address_the_global_function_wins() {
    let mut local = function("a", 8, 8);
    local.global = false;
    let mut object = function("b", 8, 8);
    object.kind = Kind::Object;
    let blob = encode(&mut [
        function("c_label", 8, 0),
        object,
        local,
        function("d", 8, 8),
    ])
    .unwrap();
    let table = Table::parse(&blob).unwrap();
    assert_eq!(name_at(&table, 8), Some(("d".into(), 0)));
}

#[test]
fn a_symbol_may_reach_the_end_of_the_address_space() {
    let blob = encode(&mut [
        function("top", u64::MAX - 3, 4),
        function("all", 0, u64::MAX),
    ])
    .unwrap();
    let table = Table::parse(&blob).unwrap();
    assert_eq!(name_at(&table, u64::MAX), Some(("top".into(), 3)));
    assert_eq!(name_at(&table, 7), Some(("all".into(), 7)));
}

#[test]
fn paths_are_written_without_hash_and_found_exactly() {
    let blob = encode(&mut sample()).unwrap();
    let table = Table::parse(&blob).unwrap();
    for (path, name) in [
        ("kernel::text::write", V0),
        ("kernel::text::flush", LEGACY),
        (C, C),
    ] {
        let symbol = table.find(path).unwrap();
        assert_eq!(
            (symbol.name, symbol.path().to_string()),
            (name, path.into())
        );
        assert_eq!(table.find(name).unwrap(), symbol, "by its linker name");
        for near in [&path[1..], &path[..path.len() - 1], &format!("{path}x"), ""] {
            let message = table.find(near).unwrap_err().to_string();
            assert_eq!(message, format!("no symbol `{near}`"));
        }
    }
    let message = table.find("a\u{7}").unwrap_err().to_string();
    assert_eq!(message, "no symbol `a\\u{7}`");
}

#[test]
fn an_ambiguous_path_is_refused_with_all_candidates() {
    let mut symbols = sample();
    symbols.push(function(V0_OTHER_CRATE_HASH, 0x5000, 4));
    symbols.push(function("memcpy", 0x6000, 4));
    let blob = encode(&mut symbols).unwrap();
    let table = Table::parse(&blob).unwrap();
    assert_eq!(
        table.find("kernel::text::write").unwrap_err().to_string(),
        format!(
            "ambiguous symbol `kernel::text::write`: \
             0x100 kernel::text::write ({V0}), 0x5000 kernel::text::write ({V0_OTHER_CRATE_HASH})"
        )
    );
    assert_eq!(
        table.find("memcpy").unwrap_err().to_string(),
        "ambiguous symbol `memcpy`: 0x200 memcpy, 0x6000 memcpy"
    );
    assert_eq!(table.find(V0).unwrap().address, 0x100);
    assert_eq!(table.candidates("kernel::text::write").count(), 2);
}

#[test]
fn several_names_of_one_address_are_not_ambiguous() {
    let blob = encode(&mut [function(V0, 16, 4), function(V0_OTHER_CRATE_HASH, 16, 4)]).unwrap();
    let found = Table::parse(&blob)
        .unwrap()
        .find("kernel::text::write")
        .unwrap();
    assert_eq!((found.name, found.address), (V0, 16));
}

#[test]
fn a_symbol_outlives_the_path_it_was_found_by() {
    let blob = encode(&mut sample()).unwrap();
    let table = Table::parse(&blob).unwrap();
    let symbol = {
        let typed = String::from("memcpy");
        table.find(&typed).unwrap()
    };
    assert_eq!(symbol.address, 0x200);
}

#[test]
fn zeros_alone_are_no_table_and_zeros_behind_one_are_fine() {
    assert_eq!(Table::parse(&[]).unwrap_err(), ParseError::NotFilled);
    assert_eq!(Table::parse(&[0; 4096]).unwrap_err(), ParseError::NotFilled);
    let mut blob = encode(&mut sample()).unwrap();
    let end = blob.len();
    blob.resize(end + 100, 0);
    assert_eq!(Table::parse(&blob).unwrap().len(), 5);
    blob[end + 50] = 1;
    let error = ParseError::BadByte {
        offset: end + 50,
        found: 1,
    };
    assert_eq!(Table::parse(&blob).unwrap_err(), error);
}

#[test]
fn an_empty_table_is_a_table() {
    let none: &mut [SymbolSpec] = &mut [];
    let blob = encode(none).unwrap();
    let table = Table::parse(&blob).unwrap();
    assert!(table.is_empty());
    assert_eq!(table.at(0), None);
}

#[test]
fn each_kind_of_damage_is_told_apart() {
    let good = encode(&mut sample()).unwrap();
    let damaged = |offset: usize, byte: u8| {
        let mut blob = good.clone();
        blob[offset] = byte;
        Table::parse(&blob).unwrap_err().to_string()
    };
    let names = HEADER + 5 * size_of::<Entry>();
    let second = HEADER + size_of::<Entry>();
    let cases = [
        (
            damaged(0, b'?'),
            "starts with `?lp-syms`, expected `klp-syms`",
        ),
        (damaged(8, 1), "version 1, expected 2"),
        (
            damaged(AT_COUNT + 3, 0xff),
            "102676562193 bytes needed, 273 found",
        ),
        (
            damaged(second + AT_GLOBAL, 2),
            "unexpected byte 0x02 at offset 0x45",
        ),
        (damaged(names, 0xff), "name not in utf-8 at offset 0x90"),
        (
            damaged(second + AT_NAME_END, 1),
            "name of symbol 1 out of bounds",
        ),
        (
            damaged(HEADER + 4 * size_of::<Entry>() + AT_NAME_END, 0xff),
            "name of symbol 4 out of bounds",
        ),
        (damaged(second + 1, 0), "symbol 1 is out of order"),
    ];
    for (message, expected) in cases {
        assert_eq!(message, format!("symbol table: {expected}"));
    }
    let cut = Table::parse(&good[..good.len() - 1]).unwrap_err();
    assert_eq!(
        cut,
        ParseError::TooShort {
            needed: 273,
            found: 272
        }
    );
    let cut = Table::parse(&good[..HEADER - 1]).unwrap_err();
    assert_eq!(
        cut,
        ParseError::TooShort {
            needed: 24,
            found: 23
        }
    );
    let mut split_character = encode(&mut [function("é", 0, 0)]).unwrap();
    split_character[HEADER + AT_NAME_END] = 1;
    let error = Table::parse(&split_character).unwrap_err();
    assert_eq!(error, ParseError::BadName { index: 0 });
}

#[test]
fn an_index_finds_the_same() {
    let mut symbols = sample();
    symbols.push(function(V0_OTHER_CRATE_HASH, 0x5000, 4));
    symbols.push(function("memcpy", 0x6000, 4));
    let (plain, indexed) = (
        encode(&mut symbols).unwrap(),
        encode_indexed(&mut symbols).unwrap(),
    );
    let (plain, indexed) = (
        Table::parse(&plain).unwrap(),
        Table::parse(&indexed).unwrap(),
    );
    assert!(plain.index.is_empty() && indexed.index.len() > symbols.len());
    assert!(plain.iter().eq(indexed.iter()));
    let mut names: Vec<String> = symbols.iter().map(|symbol| symbol.name.clone()).collect();
    names.extend(plain.iter().map(|symbol| symbol.path().to_string()));
    names.extend(["".into(), "kernel::text".into(), "nothing".into()]);
    for name in &names {
        assert!(
            plain.candidates(name).eq(indexed.candidates(name)),
            "{name}"
        );
    }
}

#[test]
fn a_wrong_index_is_an_error() {
    let mut symbols = sample();
    let good = encode_indexed(&mut symbols).unwrap();
    let index = HEADER + symbols.len() * 24;
    // A symbol that is not there.
    let mut bad = good.clone();
    bad[index + 4] = 200;
    assert_eq!(
        Table::parse(&bad).unwrap_err(),
        ParseError::BadIndex { index: 0 }
    );
    // Two entries the wrong way round.
    let mut bad = good.clone();
    bad[index..index + 16].rotate_left(8);
    assert_eq!(
        Table::parse(&bad).unwrap_err(),
        ParseError::BadIndex { index: 0 }
    );
    // More entries than there are bytes.
    let mut bad = good;
    bad[AT_INDEX + 2] = 0xff;
    assert!(matches!(
        Table::parse(&bad),
        Err(ParseError::TooShort { .. })
    ));
}

#[test]
fn names_beyond_32_bits_are_an_error() {
    let name = "n".repeat(1 << 20);
    let symbol = |address| Symbol {
        name: &name,
        address,
        size: 4,
        kind: Kind::Function,
        local_entry: 0,
        global: true,
    };
    let mut symbols: Vec<Symbol<'_>> = (0..1 << 12).map(symbol).collect();
    let error = encode(&mut symbols).unwrap_err();
    assert_eq!(error, EncodeError::TooLarge { found: 1 << 32 });
    assert_eq!(
        error.to_string(),
        "symbol table: 4294967296 is beyond 32 bits"
    );
}
