//! The Open Firmware client interface (IEEE 1275-1994, chapter 6, and its
//! PowerPC binding): calls with 32-bit big-endian cells in memory.

use core::{ffi::CStr, fmt, ptr::NonNull};
use volatile::VolatilePtr;

/// Room for arguments and results together. The longest call here has five.
const CELLS: usize = 8;

/// What the firmware calls "failed" or "none" in a result cell.
const NONE: u32 = u32::MAX;

/// The firmware refused a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientError {
    /// The service that was called.
    pub service: &'static CStr,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the client interface refused `{}`",
            self.service.to_str().unwrap_or("?")
        )
    }
}

/// Room for a property's name and its zero. IEEE 1275 says 31 characters at
/// most; PAPR's `ibm,query-interrupt-source-number` has 33, and firmware writes
/// it whatever the room.
pub type PropertyName = [u8; 128];

/// A node of the firmware's device tree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Phandle(pub u32);

/// An argument array in the form that the firmware reads and writes.
#[derive(Clone, Copy)]
#[repr(C)]
struct Arguments {
    service: u32,
    inputs: u32,
    outputs: u32,
    cells: [u32; CELLS],
}

unsafe extern "C" {
    /// `client.S`: switches to the firmware's machine state and back.
    fn client_call(arguments: *mut Arguments, entry: u64) -> i64;
}

/// The client interface of the firmware that started us.
pub struct Client {
    entry: u64,
}

/// The cell for a pointer of ours.
fn cell<T: ?Sized>(pointer: *const T) -> u32 {
    u32::try_from(pointer.addr()).expect("the boot stage lies below 4 GiB")
}

impl Client {
    /// # Safety
    /// `entry` is the client interface's entry point, and the firmware is alive.
    pub unsafe fn new(entry: u64) -> Self {
        Self { entry }
    }

    /// The entry point, to hand it on.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// Calls a service with up to [`CELLS`] cells and returns its first result.
    fn call(&self, service: &'static CStr, inputs: &[u32]) -> Result<u32, ClientError> {
        self.call_with_results(service, inputs, 1)
    }

    fn call_with_results(
        &self,
        service: &'static CStr,
        inputs: &[u32],
        outputs: usize,
    ) -> Result<u32, ClientError> {
        let mut cells = [0; CELLS];
        for (cell, input) in cells.iter_mut().zip(inputs) {
            *cell = input.to_be();
        }
        let mut arguments = Arguments {
            service: cell(service.as_ptr()).to_be(),
            inputs: (inputs.len() as u32).to_be(),
            outputs: (outputs as u32).to_be(),
            cells,
        };
        let pointer = NonNull::from(&mut arguments);
        // SAFETY: `entry` is the client interface (condition of `new`), the
        // argument array is valid, and the buffers that callers name in it are
        // borrowed by them for the call.
        let status = unsafe { client_call(pointer.as_ptr(), self.entry) };
        // The firmware wrote the results behind the compiler's back.
        // SAFETY: `pointer` points to `arguments`, which lives and is not
        // touched in any other way.
        let arguments = unsafe { VolatilePtr::new(pointer) }.read();
        if status != 0 {
            return Err(ClientError { service });
        }
        Ok(if outputs == 0 {
            0
        } else {
            u32::from_be(arguments.cells[inputs.len()])
        })
    }

    /// The node at `path`, if there is one.
    pub fn find(&self, path: &CStr) -> Result<Option<Phandle>, ClientError> {
        let node = self.call(c"finddevice", &[cell(path.as_ptr())])?;
        Ok((node != NONE).then_some(Phandle(node)))
    }

    /// The first child of a node.
    pub fn child(&self, node: Phandle) -> Result<Option<Phandle>, ClientError> {
        let child = self.call(c"child", &[node.0])?;
        Ok((child != 0).then_some(Phandle(child)))
    }

    /// The next sibling of a node.
    pub fn peer(&self, node: Phandle) -> Result<Option<Phandle>, ClientError> {
        let peer = self.call(c"peer", &[node.0])?;
        Ok((peer != 0).then_some(Phandle(peer)))
    }

    /// The root node.
    pub fn root(&self) -> Result<Option<Phandle>, ClientError> {
        self.peer(Phandle(0))
    }

    /// Writes the name of the property after `previous` (all zero for the
    /// first) to `next`. False when there is none.
    pub fn next_property(
        &self,
        node: Phandle,
        previous: &PropertyName,
        next: &mut PropertyName,
    ) -> Result<bool, ClientError> {
        let inputs = [node.0, cell(previous), cell(core::ptr::from_mut(next))];
        Ok(self.call(c"nextprop", &inputs)? == 1)
    }

    /// Length of a property in bytes; `None` if the node does not have it.
    pub fn property_length(
        &self,
        node: Phandle,
        name: &CStr,
    ) -> Result<Option<usize>, ClientError> {
        let length = self.call(c"getproplen", &[node.0, cell(name.as_ptr())])?;
        Ok((length != NONE).then_some(length as usize))
    }

    /// Reads as much of a property as fits. Returns its full length.
    pub fn property(
        &self,
        node: Phandle,
        name: &CStr,
        value: &mut [u8],
    ) -> Result<Option<usize>, ClientError> {
        let (start, size) = (cell(value.as_mut_ptr()), value.len() as u32);
        let length = self.call(c"getprop", &[node.0, cell(name.as_ptr()), start, size])?;
        Ok((length != NONE).then_some(length as usize))
    }

    /// A property that is one cell.
    pub fn property_cell(&self, node: Phandle, name: &CStr) -> Result<Option<u32>, ClientError> {
        let mut value = [0; 4];
        let length = self.property(node, name, &mut value)?;
        Ok((length == Some(4)).then(|| u32::from_be_bytes(value)))
    }

    /// RTAS's token for power-off.
    pub fn power_off(&self) -> Result<Option<u32>, ClientError> {
        let Some(rtas) = self.find(c"/rtas")? else {
            return Ok(None);
        };
        self.property_cell(rtas, c"power-off")
    }

    /// The node behind an open instance.
    pub fn instance_node(&self, instance: u32) -> Result<Option<Phandle>, ClientError> {
        let node = self.call(c"instance-to-package", &[instance])?;
        Ok((node != NONE).then_some(Phandle(node)))
    }

    /// The full path of a node, as much as fits; `None` if it does not fit.
    pub fn path<'a>(
        &self,
        node: Phandle,
        path: &'a mut [u8],
    ) -> Result<Option<&'a [u8]>, ClientError> {
        let (start, size) = (cell(path.as_mut_ptr()), path.len() as u32);
        let length = self.call(c"package-to-path", &[node.0, start, size])? as usize;
        // Some firmwares count the terminating zero, some don't.
        Ok(path
            .get(..length)
            .map(|path| path.split(|&byte| byte == 0).next().unwrap_or(path)))
    }

    /// Asks the firmware to leave the machine alone from now on.
    pub fn quiesce(&self) -> Result<(), ClientError> {
        self.call_with_results(c"quiesce", &[], 0).map(|_| ())
    }
}
