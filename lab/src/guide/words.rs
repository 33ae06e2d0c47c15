//! What numbers mean: addresses of functions and frames, TOC pointers, and where A's
//! own things are.

use super::paths::{full, short};
use crate::instruments;
use alloc::{format, string::String, vec::Vec};
use core::{
    mem::{offset_of, size_of},
    ops::Range,
};
use layout::{CallFrame, FrameHeader};
use machine::{arch, symbols};

/// A frame that is on the stack.
#[derive(Clone, Copy, Debug)]
struct Frame {
    address: u64,
    /// Its owner.
    of: Owner,
}

/// The code that has opened a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Owner {
    /// A.
    Caller,
    /// The trampoline: a [`CallFrame`].
    Trampoline,
    /// The variant's hand-off, which has a small one of its own.
    HandOff,
    /// B.
    Function,
    /// C.
    Replacement,
}

impl Owner {
    /// What its frame is called.
    pub const fn frame(self) -> &'static str {
        match self {
            Self::Caller => "A's frame",
            Self::Trampoline => "the trampoline's frame",
            Self::HandOff => "the mini frame",
            Self::Function => "B's frame",
            Self::Replacement => "C's frame",
        }
    }
}

/// What is known of a call.
#[derive(Debug)]
pub struct Words {
    /// A's return address.
    pub home: u64,
    /// A's r2.
    pub toc: u64,
    /// Global entry of the old function, and of the new one if it was entered.
    pub old: u64,
    pub new: Option<u64>,
    /// What the site's `bl` leaves in LR.
    pub behind_site: u64,
    /// The kernel's TOC pointer, and those of modules, by name.
    tocs: Vec<(u64, String)>,
    /// From A's outwards in.
    frames: Vec<Frame>,
    /// The livepatch stack's top at the call.
    livepatch_stack: u64,
    /// What the site leads to, and what that is called.
    made: Vec<(Range<u64>, &'static str)>,
}

/// How far the livepatch stack is looked at.
const LIVEPATCH_STACK: u64 = 4096;

/// What the header's places are for.
const SLOTS: [(usize, &str); 5] = [
    (offset_of!(FrameHeader, back_chain), "back chain"),
    (offset_of!(FrameHeader, cr_save), "CR save word"),
    (offset_of!(FrameHeader, reserved), "reserved word"),
    (offset_of!(FrameHeader, lr_save), "LR save"),
    (offset_of!(FrameHeader, toc_save), "TOC save"),
];

impl Words {
    /// For a call from the frame at `frame` of the function at `old`.
    pub fn new(home: u64, toc: u64, frame: u64, old: u64) -> Self {
        let kernel = arch::kernel_toc();
        let mut tocs = Vec::from([(kernel, String::from("the kernel"))]);
        for module in loader::loaded() {
            if module.toc != kernel {
                tocs.push((module.toc, format!("module {}", module.name)));
            }
        }
        Self {
            home,
            toc,
            old,
            new: None,
            behind_site: 0,
            tocs,
            frames: Vec::from([Frame {
                address: frame,
                of: Owner::Caller,
            }]),
            livepatch_stack: arch::livepatch_stack(),
            made: Vec::new(),
        }
    }

    /// TOC pointers, and their owners.
    pub fn tocs(&self) -> &[(u64, String)] {
        &self.tocs
    }

    /// Code that was made at run time has a name from now on.
    pub fn name_code(&mut self, range: Range<u64>, name: &'static str) {
        self.made.push((range, name));
    }

    /// r1 has moved: frames were opened or closed.
    pub fn moved(&mut self, r1: u64, by: Owner) {
        self.frames.retain(|frame| frame.address >= r1);
        if self.frames.last().is_none_or(|frame| frame.address != r1) {
            self.frames.push(Frame {
                address: r1,
                of: by,
            });
        }
    }

    /// TOC - LR as a variant may keep it.
    fn distance(&self) -> u64 {
        self.toc.wrapping_sub(self.home)
    }

    /// What a value of so many bytes means, if it is known.
    pub fn value(&self, value: u64, bytes: u32) -> Option<String> {
        if value == self.distance() || bytes == 4 && value as u32 == self.distance() as u32 {
            return Some("TOC - LR, from A's return address to A's TOC".into());
        }
        if bytes < 8 {
            return None;
        }
        if value == self.home {
            return Some("A's return address".into());
        }
        if value == self.behind_site {
            return Some("behind B's site".into());
        }
        if let Some((_, of)) = self.tocs.iter().find(|(toc, _)| *toc == value) {
            let own = if value == self.toc { ", A's own" } else { "" };
            return Some(format!("TOC of {of}{own}"));
        }
        if let Some(frame) = self.frames.iter().find(|frame| frame.address == value) {
            return Some(frame.of.frame().into());
        }
        self.on_livepatch_stack(value)
            .or_else(|| self.made_code(value))
            .or_else(|| self.symbol(value))
    }

    /// A function or an object.
    fn symbol(&self, value: u64) -> Option<String> {
        let place = full(value)?;
        let name = short(&place);
        let Some(function) = symbols::function_at(value) else {
            return Some(format!("address of {}", name.trim_end_matches("+0x0")));
        };
        let name = match function.address {
            address if address == self.old => "B",
            address if Some(address) == self.new => "C",
            _ => name.rsplit_once('+').map_or(name, |(name, _)| name),
        };
        Some(match value - function.address {
            0 if function.local_entry == 0 => format!("entry of {name}"),
            0 => format!("global entry of {name}"),
            offset if offset == u64::from(function.local_entry) => format!("local entry of {name}"),
            offset => format!("address in {name}, +{offset:#x}"),
        })
    }

    /// The same, and the number where nothing is known.
    pub fn value_or_number(&self, value: u64, bytes: u32) -> String {
        let known = self.value(value, bytes);
        known.unwrap_or_else(|| format!("{value:#x}"))
    }

    /// r2 in words.
    pub fn toc_in_words(&self, value: u64) -> String {
        let is_distance = value == self.distance();
        let mut all = self.tocs.iter();
        let known = all.any(|(toc, _)| *toc == value) || is_distance;
        if known {
            self.value_or_number(value, 8)
        } else {
            format!("{value:#x}, no module's TOC")
        }
    }

    fn on_livepatch_stack(&self, address: u64) -> Option<String> {
        let offset = address.checked_sub(self.livepatch_stack)?;
        (offset < LIVEPATCH_STACK).then(|| format!("livepatch stack+{offset:#x}"))
    }

    fn made_code(&self, address: u64) -> Option<String> {
        let (range, name) = self
            .made
            .iter()
            .find(|(range, _)| range.contains(&address))?;
        Some(format!("{name}+{:#x}", address - range.start))
    }

    /// A place in memory that has a name here: in a frame, on the livepatch stack, in the
    /// CPU's own data.
    pub fn place(&self, address: u64) -> Option<String> {
        let lowest = self.frames.last()?.address;
        let highest = self.frames.first()?.address + PARAMETERS;
        if (lowest..highest).contains(&address) {
            let frame = self.frames.iter().find(|frame| frame.address <= address)?;
            return Some(in_frame(frame, (address - frame.address) as usize));
        }
        self.on_livepatch_stack(address).or_else(|| in_cpu(address))
    }

    /// Whether a place is one that A or the variant keeps something in, or an argument.
    pub fn is_kept(&self, address: u64) -> bool {
        let of_frame = self.frames.iter().find(|frame| frame.address <= address);
        let in_frame = of_frame.is_some_and(|frame| {
            let is_header = address - frame.address < size_of::<FrameHeader>() as u64;
            frame.of == Owner::Caller || frame.of == Owner::HandOff && is_header
        });
        in_frame || self.on_livepatch_stack(address).is_some() || in_cpu(address).is_some()
    }
}

/// How much of A's frame belongs to calls: its header and its arguments.
const PARAMETERS: u64 = (size_of::<FrameHeader>() + 8 * instruments::sanitiser::ARGUMENTS) as u64;

fn in_frame(frame: &Frame, offset: usize) -> String {
    let whose = frame.of.frame();
    if let Some((_, slot)) = SLOTS.iter().find(|(at, _)| *at == offset) {
        return format!("{offset}(r1) of {whose} ({slot})");
    }
    if frame.of == Owner::Trampoline
        && let Some(what) = in_call_frame(offset)
    {
        return format!("{whose}, {what}");
    }
    let above = offset.checked_sub(size_of::<FrameHeader>());
    match above {
        Some(above) if above.is_multiple_of(8) && frame.of == Owner::Caller => {
            format!("{offset}(r1) of {whose} (argument {})", above / 8 + 1)
        }
        _ => format!("{whose}+{offset:#x}"),
    }
}

fn in_call_frame(offset: usize) -> Option<String> {
    let gpr = offset_of!(CallFrame, gpr);
    let others = [
        (offset_of!(CallFrame, nip), "where to go on"),
        (offset_of!(CallFrame, site), "behind the site"),
        (offset_of!(CallFrame, cr), "CR"),
        (offset_of!(CallFrame, ctr), "CTR"),
        (offset_of!(CallFrame, xer), "XER"),
        (offset_of!(CallFrame, msr), "MSR"),
    ];
    if let Some((_, what)) = others.iter().find(|(at, _)| *at == offset) {
        return Some((*what).into());
    }
    let index = offset.checked_sub(gpr)? / 8;
    (index < 32).then(|| format!("r{index}"))
}

/// What the CPU keeps for itself.
fn in_cpu(address: u64) -> Option<String> {
    let off = arch::interrupts_off();
    let entry = &off.cpu().entry;
    let fields = [
        (
            entry.livepatch_stack.as_ptr() as u64,
            "the livepatch stack's top",
        ),
        (entry.tracing.as_ptr() as u64, "the tracing guard"),
        (
            entry.toc.as_ptr() as u64,
            "the kernel's TOC, as the CPU keeps it",
        ),
    ];
    let found = fields.iter().find(|(at, _)| *at == address)?;
    Some(found.1.into())
}

impl Words {
    /// Where an instruction is: part or path, and offset.
    pub fn address(&self, address: u64) -> String {
        self.made_code(address)
            .or_else(|| full(address))
            .or_else(|| {
                let module = loader::at(address)?;
                Some(format!("stub in module {}", module.name))
            })
            .unwrap_or_else(|| format!("{address:#x}"))
    }
}
