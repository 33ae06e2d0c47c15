//! What is wrong on purpose: the explorer must find it out.

use super::situation::{self, Situation};
use alloc::{format, string::String};
use livepatch::variants::{self, Variant, racy};
use machine::{
    sync::IrqLock,
    text::{self, Change},
};
use ppc64::insn;

/// A control.
#[derive(Debug)]
pub struct Control {
    /// What `variant=` calls it.
    pub name: &'static str,
    /// What is wrong, in a sentence.
    pub about: &'static str,
    /// The hand-off, if that is what is wrong; else the default one is used.
    pub variant: Option<&'static Variant>,
    /// Where it is looked for: elsewhere it would take the explorer itself along.
    pub(super) situations: &'static [Situation],
    /// Whether it takes another CPU to find it.
    pub needs_another_cpu: bool,
}

/// All there are.
pub static CONTROLS: &[Control] = &[
    Control {
        name: "racy",
        about: racy::VARIANT.about,
        variant: Some(&racy::VARIANT),
        situations: &[Situation::Settled],
        needs_another_cpu: false,
    },
    Control {
        name: "both-words",
        about: "a site's two words are written while threads may be between them",
        variant: None,
        situations: &[Situation::TwoNops],
        needs_another_cpu: false,
    },
    Control {
        name: "one-look",
        about: "a call looks at the number of a transition once, and its codes appear after it",
        variant: None,
        situations: &[Situation::OneLook],
        needs_another_cpu: true,
    },
    Control {
        name: "freed-at-once",
        about: "code is freed while another CPU may be in it",
        variant: None,
        situations: &[Situation::Copied],
        needs_another_cpu: true,
    },
];

/// The control with a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Control> {
    CONTROLS.iter().find(|control| control.name == name)
}

impl Control {
    /// The variant that is in use while it is explored.
    pub(super) fn hand_off(&self) -> &'static Variant {
        self.variant.unwrap_or(variants::VARIANTS[0])
    }
}

/// The two words of the site while it is in use.
static IN_USE: IrqLock<[u32; 2]> = IrqLock::new([insn::NOP; 2]);

/// Changes a word of code.
///
/// # Errors
/// When the writer refuses.
///
/// # Safety
/// As for [`text::apply`].
pub(super) unsafe fn change(address: u64, expected: u32, new: u32) -> Result<(), String> {
    let change = Change {
        address,
        expected,
        new,
    };
    // SAFETY: as the caller promises.
    unsafe { text::apply(&[change]) }.map_err(|error| format!("{error}"))
}

fn write(from: [u32; 2], to: [u32; 2]) -> Result<(), String> {
    let second = situation::site()?.address;
    let change = |index: usize| Change {
        address: second - 4 + 4 * index as u64,
        expected: from[index],
        new: to[index],
    };
    // SAFETY: none of it holds for a thread between the two words, and that is what
    // this is about. Only the explorer calls the function, and it survives that.
    unsafe { text::apply(&[change(0), change(1)]) }.map_err(|error| format!("{error}"))
}

/// Makes a traced site look as the compiler has left it.
///
/// # Errors
/// When tracing or the writer refuses.
pub fn write_nops() -> Result<(), String> {
    situation::trace()?;
    let second = situation::site()?.address;
    let words = [text::read(second - 4), text::read(second)];
    *IN_USE.lock() = words;
    write(words, [insn::NOP; 2])
}

/// Puts the words back, if they are nops.
///
/// # Errors
/// When the writer refuses.
pub fn write_back() -> Result<(), String> {
    let second = situation::site()?.address;
    if text::read(second - 4) == insn::NOP {
        write([insn::NOP; 2], *IN_USE.lock())?;
    }
    Ok(())
}

/// What a naive writer would do: puts both words to use at once.
pub fn write_both_words() {
    let words = *IN_USE.lock();
    // If it fails, the site has two nops afterwards, which is found.
    let _ = write([insn::NOP; 2], words);
}
