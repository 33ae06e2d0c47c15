//! The table against a plain list, and against damage.

use crate::tests::{C, LEGACY, V0, V0_OTHER_CRATE_HASH};
use crate::{AsSymbol, Kind, Symbol, SymbolSpec, Table, encode};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use proptest::prelude::*;

/// Few addresses and few names, so that symbols nest, touch and share both.
fn any_symbol() -> impl Strategy<Value = SymbolSpec> {
    let name = prop_oneof![
        prop::sample::select(vec![V0, V0_OTHER_CRATE_HASH, LEGACY, C, ""]).prop_map(String::from),
        "[a-c]{1,2}|(_R|_ZN)[A-Zb-f0-9_.$]{0,8}E?|\\PC{1,4}",
    ];
    let kind = prop::sample::select(vec![Kind::Function, Kind::Object]);
    (name, 0..48u64, 0..12u64, kind, any::<u8>(), any::<bool>()).prop_map(
        |(name, address, size, kind, local_entry, global)| SymbolSpec {
            name,
            address,
            size,
            kind,
            local_entry,
            global,
        },
    )
}

/// What `Table::at` promises, by looking at everything.
fn naive_at(symbols: &[SymbolSpec], address: u64) -> Option<(Symbol<'_>, u64)> {
    symbols
        .iter()
        .filter(|s| address == s.address || (s.address..s.address + s.size).contains(&address))
        .min_by_key(|s| {
            let rank = [s.size == 0, s.kind == Kind::Object, !s.global];
            (u64::MAX - s.address, rank, &s.name)
        })
        .map(|s| (s.as_symbol(), address - s.address))
}

proptest! {
    #[test]
    fn a_table_does_what_a_list_does(mut symbols in prop::collection::vec(any_symbol(), 0..24), padding in 0..9usize) {
        let given = symbols.clone();
        let mut blob = encode(&mut symbols).unwrap();
        blob.resize(blob.len() + padding, 0);
        let table = Table::parse(&blob).unwrap();
        prop_assert!(given.iter().all(|s| table.iter().any(|t| t == s.as_symbol())));
        prop_assert_eq!(table.len(), given.len());
        for address in 0..64 {
            // Names and ranks may be equal where sizes are not: any will do then.
            let key = |(s, offset): (Symbol<'_>, u64)| (s.name.to_string(), s.address, s.kind, s.global, offset);
            prop_assert_eq!(table.at(address).map(key), naive_at(&given, address).map(key));
            let starting: Vec<_> = table.iter().filter(|s| s.address == address).collect();
            prop_assert_eq!(table.starting_at(address).collect::<Vec<_>>(), starting);
        }
        for symbol in &given {
            let path = symbol.as_symbol().path().to_string();
            let mut addresses: Vec<_> = given
                .iter()
                .filter(|s| s.name == path || s.as_symbol().path().to_string() == path)
                .map(|s| s.address)
                .collect();
            addresses.sort_unstable();
            prop_assert!(table.candidates(&path).map(|s| s.address).eq(addresses.iter().copied()));
            addresses.dedup();
            match table.find(&path) {
                Ok(found) => prop_assert_eq!(vec![found.address], addresses),
                Err(error) => {
                    prop_assert!(addresses.len() > 1);
                    let message = error.to_string();
                    for address in addresses {
                        let listed = format!(" {address:#x} {path}");
                        prop_assert!(message.contains(&listed));
                    }
                }
            }
        }
    }

    #[test]
    fn damaged_tables_never_panic(
        mut symbols in prop::collection::vec(any_symbol(), 0..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut blob = encode(&mut symbols).unwrap();
        for (index, byte) in damage {
            let at = index.index(blob.len());
            blob[at] = byte;
        }
        if let Some(cut) = cut {
            blob.truncate(cut.index(blob.len()));
        }
        use_up(&blob);
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut blob in prop::collection::vec(any::<u8>(), 0..200), with_magic: bool) {
        if with_magic && blob.len() > 12 {
            blob[..8].copy_from_slice(&crate::format::MAGIC);
            blob[8..12].copy_from_slice(&1u32.to_le_bytes());
        }
        use_up(&blob);
    }
}

/// Calls everything that can be called.
fn use_up(blob: &[u8]) {
    match Table::parse(blob) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(table) => {
            for symbol in table.iter() {
                let _ = table.at(symbol.address.wrapping_add(symbol.size));
                let path = symbol.path().to_string();
                if let Err(error) = table.find(&path) {
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
}
