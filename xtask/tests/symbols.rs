//! The symbol table on its way from `.symtab` to `.ksyms`.

mod common;

use common::{kernel, with_symbols};
use object::Architecture::{PowerPc64, X86_64};
use object::Endianness::{Big, Little};
use object::elf::STT_FUNC;
use object::{Object, ObjectSection, ObjectSymbol};
use symtab::{Kind, Symbol, Table};
use xtask::symbols;

#[test]
fn functions_and_objects_are_embedded_and_labels_are_not() {
    let elf = symbols::embed(kernel(PowerPc64, Little, Some(4096))).unwrap();
    let file = object::File::parse(elf.as_slice()).unwrap();
    let table = Table::parse(file.section_by_name(".ksyms").unwrap().data().unwrap()).unwrap();
    let found: Vec<Symbol> = table.iter().collect();
    let seen: Vec<_> = found
        .iter()
        .map(|s| (s.name, s.address, s.kind, s.local_entry))
        .collect();
    let expected = [
        ("plain", 0, Kind::Function, 0),
        ("with_toc", 16, Kind::Function, 8),
        ("table", 32, Kind::Object, 0),
    ];
    assert_eq!(seen, expected);
    assert!(
        found
            .iter()
            .all(|symbol| symbol.global && symbol.size == 16)
    );
}

#[test]
fn embedding_changes_nothing_but_the_section_and_can_be_repeated() {
    let before = kernel(PowerPc64, Little, Some(4096));
    let after = symbols::embed(before.clone()).unwrap();
    assert_eq!(before.len(), after.len());
    let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    assert!(changed > 0 && changed <= 4096, "{changed}");
    assert_eq!(symbols::embed(after.clone()).unwrap(), after);
}

#[test]
fn a_table_that_does_not_fit_is_refused_with_both_sizes() {
    let error = symbols::embed(kernel(PowerPc64, Little, Some(50)))
        .unwrap_err()
        .to_string();
    let size =
        symtab::encode_indexed(&mut symbols::read(&kernel(PowerPc64, Little, None)).unwrap())
            .unwrap()
            .len();
    assert!(error.contains(&format!("needs {size} bytes")), "{error}");
    assert!(error.contains("reserves 50"), "{error}");
}

#[test]
fn a_rust_function_at_another_ones_address_is_refused() {
    let check = |names: [&str; 2]| {
        let functions = names.map(|name| (name, 0, STT_FUNC, 0));
        let elf = with_symbols(PowerPc64, Little, None, &functions);
        symbols::each_function_is_its_own(&elf)
    };
    let (rust, other) = ("_RNvCs1234_4bank4home", "_RNvCs1234_4bank6abroad");
    let error = check([rust, other]).unwrap_err().to_string();
    let expected = "`bank::home` and `bank::abroad` are one function at 0x0: ";
    assert!(error.starts_with(expected), "{error}");
    let error = check([rust, "bcmp"]).unwrap_err().to_string();
    assert!(error.contains("`bcmp`"), "{error}");
    // Two names that were given in C or assembly are meant.
    check(["memcmp", "bcmp"]).unwrap();
}

#[test]
fn a_function_without_a_size_is_refused_by_name() {
    /// Where an ELF symbol's `st_size` is.
    const SIZE: usize = 16;
    let mut elf = kernel(PowerPc64, Little, Some(4096));
    let file = object::File::parse(elf.as_slice()).unwrap();
    let symbol = file.symbol_by_name("with_toc").unwrap();
    let table = file.section_by_name(".symtab").unwrap();
    let entry = table.file_range().unwrap().0 as usize + 24 * symbol.index().0;
    elf[entry + SIZE..entry + SIZE + 8].fill(0);
    let error = symbols::embed(elf).unwrap_err().to_string();
    assert!(error.contains("function with_toc has no size"), "{error}");
}

#[test]
fn a_file_that_is_no_kernel_is_refused() {
    let refusal = |elf| format!("{:#}", symbols::embed(elf).unwrap_err());
    assert!(refusal(kernel(PowerPc64, Little, None)).contains("no section .ksyms"));
    assert!(refusal(kernel(PowerPc64, Big, Some(4096))).contains("little-endian ppc64"));
    assert!(refusal(kernel(X86_64, Little, Some(4096))).contains("little-endian ppc64"));
    assert!(refusal(b"hello".to_vec()).contains("not a 64-bit ELF file"));
    assert!(refusal(Vec::new()).contains("not a 64-bit ELF file"));
}

#[test]
fn no_cut_or_damaged_file_makes_it_panic() {
    let elf = kernel(PowerPc64, Little, Some(200));
    for length in 0..elf.len() {
        let _ = symbols::embed(elf[..length].to_vec());
    }
    for at in 0..elf.len() {
        let mut damaged = elf.clone();
        damaged[at] ^= 0xff;
        let _ = symbols::embed(damaged);
    }
}
