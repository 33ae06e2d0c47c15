//! Writes a flattened device tree (devicetree specification v0.4, chapter 5;
//! format version 17) without allocating.
//!
//! The boot stage copies firmware's device tree with it before there is any
//! memory management. So the caller brings the memory: one slice that the blob
//! grows in, and one for the strings, which move into the blob at the end:
//!
//! ```text
//! structure: header | reservations, (0, 0) | nodes, properties, END | strings
//! strings:   property names, each once, each with a NUL
//! ```
//!
//! All numbers in a blob are big endian. A blob must be put at an address that
//! is a multiple of 8, so `structure` should be at one.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod block;
mod error;

#[cfg(test)]
mod tests;

pub use error::{Block, Error, NameError};

use block::Buffer;

const MAGIC: u32 = 0xd00d_feed;
const VERSION: u32 = 17;
/// The oldest version that readers may be of and still read version 17.
const LAST_COMPATIBLE: u32 = 16;
/// Bytes of the header: ten 32-bit numbers.
const HEADER: usize = 40;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const END: u32 = 9;

/// What may be written next.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Stage {
    /// Reservations, or the root.
    Reservations,
    /// Properties of the innermost open node, or a child.
    Properties,
    /// Another child of the innermost open node.
    Children,
    /// Nothing: the root is closed.
    Complete,
}

/// A tree that is being written. An [`Error`] leaves it as it was before the
/// call, but for a property's name, which may already stand among the strings.
pub struct Writer<'a> {
    structure: Buffer<'a>,
    strings: Buffer<'a>,
    stage: Stage,
    /// How many nodes are open.
    depth: u32,
    /// Where the nodes start; 0 as long as there is none.
    nodes_at: usize,
}

impl<'a> Writer<'a> {
    /// Starts a tree. What the two slices hold does not matter.
    ///
    /// # Errors
    /// If `structure` can't even hold the header.
    pub fn new(structure: &'a mut [u8], strings: &'a mut [u8]) -> Result<Self, Error> {
        let mut structure = Buffer::new(Block::Structure, structure);
        // Filled in by `finish`.
        structure.push(&[&[0; HEADER]])?;
        Ok(Self {
            structure,
            strings: Buffer::new(Block::Strings, strings),
            stage: Stage::Reservations,
            depth: 0,
            nodes_at: 0,
        })
    }

    /// Marks `size` bytes of physical memory from `start` on as not to be used
    /// by the reader of the tree.
    ///
    /// # Errors
    /// If a node was begun already, if `size` is 0, or for lack of space.
    pub fn reserve(&mut self, start: u64, size: u64) -> Result<(), Error> {
        if self.stage != Stage::Reservations {
            return Err(Error::LateReservation);
        }
        if size == 0 {
            // Together with address 0 it would end the list.
            return Err(Error::EmptyReservation { start });
        }
        self.structure
            .push(&[&start.to_be_bytes(), &size.to_be_bytes()])
    }

    /// Begins a node inside the innermost open one, or the root, which has an empty
    /// name. Other names have the form `name` or `name@unit-address`.
    ///
    /// # Errors
    /// If the root was ended already, if the name is a bad one, or for lack of
    /// space.
    pub fn begin_node(&mut self, name: &str) -> Result<(), Error> {
        let first = match self.stage {
            Stage::Complete => return Err(Error::SecondRoot),
            Stage::Reservations => true,
            Stage::Properties | Stage::Children => false,
        };
        NameError::check_node(name, first)?;
        // The reservations end with one of address 0 and size 0.
        let terminator: &[u8] = if first { &[0; 16] } else { &[] };
        let nodes_at = self.structure.len() + terminator.len();
        let token = BEGIN_NODE.to_be_bytes();
        self.structure
            .push(&[terminator, &token, name.as_bytes(), &[0]])?;
        if first {
            self.nodes_at = nodes_at;
        }
        self.depth += 1;
        self.stage = Stage::Properties;
        Ok(())
    }

    /// Gives the innermost open node a property.
    ///
    /// # Errors
    /// As [`Self::property_with`].
    pub fn property(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        self.property_with(name, value.len(), |place| place.copy_from_slice(value))
    }

    /// Gives the innermost open node a property of `len` bytes, which `fill`
    /// writes in place, over zeros. Returns what `fill` returns.
    ///
    /// # Errors
    /// If no node is open, if the node has a child already (properties come
    /// first), if the name is a bad one, or for lack of space. On error, `fill` is
    /// not called.
    pub fn property_with<R>(
        &mut self,
        name: &str,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> Result<R, Error> {
        match self.stage {
            Stage::Reservations | Stage::Complete => return Err(Error::NoOpenNode),
            Stage::Children => return Err(Error::LateProperty),
            Stage::Properties => {}
        }
        NameError::check_property(name)?;
        let len_field = self.structure.number(len)?;
        let name_offset = match self.strings.find_string(name) {
            Some(offset) => offset,
            None => {
                let offset = self.strings.len();
                self.strings.push_string(name)?;
                offset
            }
        };
        let name_field = self.strings.number(name_offset)?;
        let place = self
            .structure
            .push_space(&[&PROP.to_be_bytes(), &len_field, &name_field], len)?;
        Ok(fill(place))
    }

    /// Ends the innermost open node.
    ///
    /// # Errors
    /// If no node is open, or for lack of space.
    pub fn end_node(&mut self) -> Result<(), Error> {
        if self.depth == 0 {
            return Err(Error::NoOpenNode);
        }
        self.structure.push(&[&END_NODE.to_be_bytes()])?;
        self.depth -= 1;
        self.stage = match self.depth {
            0 => Stage::Complete,
            _ => Stage::Children,
        };
        Ok(())
    }

    /// Completes the tree and returns it: the used part of `structure`.
    /// `boot_cpu` is the `reg` of the CPU that boots.
    ///
    /// # Errors
    /// If the root was not written or not ended, or for lack of space:
    /// `structure` has to hold the strings too.
    pub fn finish(mut self, boot_cpu: u32) -> Result<&'a mut [u8], Error> {
        if self.stage != Stage::Complete {
            return Err(Error::Unbalanced { open: self.depth });
        }
        self.structure.push(&[&END.to_be_bytes()])?;
        let strings_at = self.structure.len();
        self.structure.push_unpadded(self.strings.written())?;
        let numbers = [
            self.structure.len(),
            self.nodes_at,
            strings_at,
            HEADER, // the reservations follow it at once
        ];
        let sizes = [self.strings.len(), strings_at - self.nodes_at];
        let mut header = [[0; 4]; HEADER / 4];
        header[0] = MAGIC.to_be_bytes();
        for (place, number) in header[1..].iter_mut().zip(numbers) {
            *place = self.structure.number(number)?;
        }
        header[5] = VERSION.to_be_bytes();
        header[6] = LAST_COMPATIBLE.to_be_bytes();
        header[7] = boot_cpu.to_be_bytes();
        for (place, number) in header[8..].iter_mut().zip(sizes) {
            *place = self.structure.number(number)?;
        }
        let blob = self.structure.into_written();
        blob[..HEADER].copy_from_slice(header.as_flattened());
        Ok(blob)
    }
}
