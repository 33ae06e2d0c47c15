//! A virtual terminal of the hypervisor (PAPR 16.6.2): 16 characters a call.

use crate::arch;
use core::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};
use ppc64::hcall;

/// Characters that one call carries, in two registers.
pub const CHUNK: usize = 16;

/// The console's terminal, kept outside its lock for [`super::write_raw`].
static NUMBER: AtomicU32 = AtomicU32::new(0);

pub fn set_number_of_console(number: u32) {
    NUMBER.store(number, Ordering::Relaxed);
}

/// The number of the console's terminal; 0 is "the first there is".
pub fn number_of_console() -> u32 {
    NUMBER.load(Ordering::Relaxed)
}

/// One terminal, with what is still to be sent and what has come in.
#[derive(Debug)]
pub struct Terminal {
    number: u32,
    out: [u8; CHUNK],
    out_used: usize,
    input: [u8; CHUNK],
    input_used: usize,
    input_read: usize,
}

impl Terminal {
    /// The terminal of a number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self {
            number,
            out: [0; CHUNK],
            out_used: 0,
            input: [0; CHUNK],
            input_used: 0,
            input_read: 0,
        }
    }

    /// Takes bytes to send; they are sent by the chunk.
    pub fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.out[self.out_used] = byte;
            self.out_used += 1;
            if self.out_used == CHUNK {
                self.flush();
            }
        }
    }

    /// Sends what has not been sent. Waits while the hypervisor is busy; any
    /// other refusal means that the console has no reader, and the text is lost.
    pub fn flush(&mut self) {
        if self.out_used == 0 {
            return;
        }
        while self.put() == hcall::H_BUSY {
            arch::wait();
        }
        self.out_used = 0;
    }

    /// Hands what has not been sent to the hypervisor, and returns its status.
    fn put(&self) -> i64 {
        let [high, low] = words(&self.out);
        let arguments = [u64::from(self.number), self.out_used as u64, high, low];
        // SAFETY: the call takes its characters from registers.
        unsafe { arch::hypervisor_call(hcall::H_PUT_TERM_CHAR, arguments) }.0
    }

    /// Sends a piece of at most 16 bytes, if the hypervisor takes it now. Says whether it does.
    ///
    /// # Panics
    /// When the piece is longer.
    pub fn try_send(&mut self, piece: &[u8]) -> bool {
        self.out[..piece.len()].copy_from_slice(piece);
        self.out_used = piece.len();
        let taken = self.put() == hcall::H_SUCCESS;
        self.out_used = 0;
        taken
    }

    /// The next byte that has come in, if any.
    pub fn read(&mut self) -> Option<u8> {
        if self.input_read == self.input_used {
            let arguments = [u64::from(self.number), 0, 0, 0];
            // SAFETY: the call returns its characters in registers.
            let (status, [length, high, low]) =
                unsafe { arch::hypervisor_call(hcall::H_GET_TERM_CHAR, arguments) };
            if status != hcall::H_SUCCESS {
                return None;
            }
            self.input[..8].copy_from_slice(&high.to_be_bytes());
            self.input[8..].copy_from_slice(&low.to_be_bytes());
            self.input_used = (length as usize).min(CHUNK);
            self.input_read = 0;
        }
        let byte = *self.input[..self.input_used].get(self.input_read)?;
        self.input_read += 1;
        Some(byte)
    }
}

/// Characters in registers: the first is the most significant byte.
fn words(chunk: &[u8; CHUNK]) -> [u64; 2] {
    let value = u128::from_be_bytes(*chunk);
    [(value >> 64) as u64, value as u64]
}

impl fmt::Write for Terminal {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}
