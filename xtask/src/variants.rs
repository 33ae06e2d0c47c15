//! The variants that a kernel knows, by its file.

use crate::{symbols, tool};
use anyhow::{Context, Result, ensure};
use klp::{Convention, NOTES_SECTION, VariantNote};
use object::{Object, ObjectSection};
use std::path::Path;

/// The variants of a kernel, the ways to hand a call over to a replacement function:
/// their names, and what each asks of that function. The first is the default.
///
/// # Errors
/// When the file can't be read, is no kernel, or its notes make no sense.
pub fn of(kernel: &Path) -> Result<Vec<(String, Convention)>> {
    let elf = tool::read_file(kernel)?;
    let what = || kernel.display().to_string();
    let section = symbols::parse(&elf).with_context(what)?;
    let section = section
        .section_by_name(NOTES_SECTION)
        .with_context(|| format!("{} has no section {NOTES_SECTION}", kernel.display()))?;
    read(section.data()?).with_context(what)
}

/// What a variant asks of replacement functions.
///
/// # Errors
/// When there is no variant of that name; the message lists those there are.
pub fn convention_of(name: &str, variants: &[(String, Convention)]) -> Result<Convention> {
    let found = variants.iter().find(|(known, _)| known == name);
    found.map(|(_, convention)| *convention).with_context(|| {
        let names: Vec<&str> = variants.iter().map(|(name, _)| name.as_str()).collect();
        format!(
            "there is no variant `{name}`: there are {}",
            names.join(", ")
        )
    })
}

/// The notes in a section.
fn read(section: &[u8]) -> Result<Vec<(String, Convention)>> {
    let (notes, rest) = section.as_chunks::<{ VariantNote::SIZE }>();
    ensure!(
        rest.is_empty(),
        "section {NOTES_SECTION} ends in the middle of a note"
    );
    let read = |(index, note)| {
        let (name, convention) = VariantNote::read(note)
            .with_context(|| format!("note {index} of section {NOTES_SECTION} is none"))?;
        Ok((name.to_owned(), convention))
    };
    notes.iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_in_their_order_and_bad_ones_refused() {
        let mut section = Vec::new();
        for (number, name) in [(1_u32, "second"), (0, "first")] {
            section.extend(number.to_le_bytes());
            section.extend(name.as_bytes());
            section.resize(section.len().next_multiple_of(VariantNote::SIZE), 0);
        }
        let expected = [
            ("second".to_owned(), Convention::Epilogue),
            ("first".to_owned(), Convention::Plain),
        ];
        assert_eq!(read(&section).unwrap(), expected);
        let error = read(&section[1..]).unwrap_err().to_string();
        assert!(error.contains("in the middle"), "{error}");
        section[VariantNote::SIZE] = 9;
        let error = read(&section).unwrap_err().to_string();
        assert_eq!(error, "note 1 of section .variants is none");
    }

    #[test]
    fn an_unknown_variant_is_answered_with_those_there_are() {
        let known = [
            ("one".to_owned(), Convention::Epilogue),
            ("other".to_owned(), Convention::Plain),
        ];
        let said = convention_of("missing", &known).unwrap_err().to_string();
        assert!(said.ends_with("`missing`: there are one, other"), "{said}");
        assert_eq!(convention_of("other", &known).unwrap(), Convention::Plain);
    }

    #[test]
    fn what_is_no_kernel_is_named() {
        let error = of(Path::new("/nowhere/kernel.elf")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/kernel.elf"));
    }
}
