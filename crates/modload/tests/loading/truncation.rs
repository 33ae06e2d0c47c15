//! Files that end too early.

use crate::elf::{ADDR64, Elf, OUTSIDE, REL24, WRITTEN};
use crate::load::load;
use crate::{compilers, tools::Directory};
use modload::LoadError;

/// Cuts a file everywhere. Gives how many bytes it needs.
fn cut_everywhere(file: &[u8]) -> usize {
    load(file).unwrap();
    let needed = (0..=file.len()).find(|length| load(&file[..*length]).is_ok());
    let needed = needed.unwrap();
    for length in 0..=file.len() {
        match load(&file[..length]) {
            Ok(_) => assert!(length >= needed),
            Err(LoadError::Truncated { needed, found, .. }) => {
                assert!(needed > found && found == length as u64);
            }
            Err(other) => panic!("cut to {length} bytes: {other}"),
        }
    }
    needed
}

#[test]
fn a_cut_file_is_called_truncated() {
    let mut elf = Elf::default();
    let text = elf.text(&[0x4800_0001, 0x6000_0000]);
    let data = elf.section(".data", WRITTEN, &[0; 8]);
    let outer = elf.symbol("outer", OUTSIDE, 0);
    elf.relocate(text, 0, REL24, outer, 0);
    elf.relocate(data, 0, ADDR64, outer, 0);
    let mut file = elf.build();
    // The table of sections is the last thing in it.
    assert_eq!(cut_everywhere(&file), file.len());
    let needed = file.len();
    file.extend([0xa5; 100]);
    assert_eq!(cut_everywhere(&file), needed);
}

#[test]
fn a_cut_file_of_the_compiler_is_called_truncated() {
    let directory = Directory::new("truncation");
    let file = compilers::module(&directory, &["-O2"]);
    assert_eq!(cut_everywhere(&file), file.len());
}
