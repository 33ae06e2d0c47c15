//! The channel: modules come from the host into the running kernel, over a terminal of their
//! own, and are enabled, disabled and looked at from there.
//!
//! A thread serves it, where the machine has that terminal, the third; else there is none. It
//! does what the shell's commands do, by the same functions, and whatever the host sends, the
//! kernel goes on: a request that can't be done is answered with a sentence, and has changed
//! nothing. What a frame is, the crate `channel` says.
//!
//! - `requests`: what is done, and what is answered.
#![no_std]

extern crate alloc;

mod requests;

use channel::{Decoder, Frame, MOST_BYTES};
use core::time::Duration;
use machine::{
    arch,
    console::{CHUNK, Terminal},
    platform, time,
};
use requests::Reply;
use thread::OutOfMemory;

/// How long until the terminal is looked at again while the host says nothing.
const LOOK: Duration = Duration::from_millis(10);

/// The same in the middle of a frame, when it has not gone on for [`SOON`].
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// How long the next bytes of a frame are waited for without a pause. QEMU has them ready a tenth
/// of a millisecond after the last ones were taken. A thread that gave way in between would have
/// sixteen bytes for each turn of all others.
const SOON: Duration = Duration::from_millis(2);

/// How long the hypervisor is not asked meanwhile: each look keeps QEMU from having them ready.
const PAUSE: Duration = Duration::from_micros(100);

/// How long a frame's next byte may take. Then the sender is gone, and the frame is dropped.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the hypervisor may refuse a piece of an answer. Then the answer is dropped.
const BUSY: Duration = Duration::from_secs(1);

/// The loader and live patching call deeper than other threads' work does.
const STACK_BYTES: usize = 64 * 1024;

/// Serves the channel from now on, if the machine has one. `image` is the name of what runs.
///
/// # Errors
/// When there is no memory for the thread.
pub fn start(image: &'static str) -> Result<(), OutOfMemory> {
    if let Some(number) = platform::get().channel {
        thread::spawn_with_stack("live", STACK_BYTES, move || {
            Line::new(number, image).serve();
        })?;
    }
    Ok(())
}

/// The kernel's end.
struct Line {
    terminal: Terminal,
    decoder: Decoder,
    image: &'static str,
    /// When something came last, in timebase ticks.
    heard: u64,
}

impl Line {
    const fn new(number: u32, image: &'static str) -> Self {
        Self {
            terminal: Terminal::new(number),
            decoder: Decoder::new(MOST_BYTES),
            image,
            heard: 0,
        }
    }

    fn serve(&mut self) {
        loop {
            thread::safe_point();
            let mut piece = [0; CHUNK];
            let came = piece.iter_mut().map_while(|place| {
                *place = self.terminal.read()?;
                Some(())
            });
            let count = came.count();
            if count > 0 {
                self.heard = arch::timebase();
                self.take(&piece[..count]);
            } else if self.decoder.is_waiting() {
                self.wait_for_more();
            } else {
                thread::sleep(LOOK);
            }
        }
    }

    /// Takes in what came, and answers the frames that are complete.
    fn take(&mut self, mut input: &[u8]) {
        while let Some(event) = self.decoder.decode(&mut input) {
            send(&mut self.terminal, &requests::reply(&event, self.image));
        }
    }

    /// A frame has begun, and nothing more is there.
    fn wait_for_more(&mut self) {
        let silence = time::duration(arch::timebase() - self.heard);
        if silence > PATIENCE {
            if let Some(event) = self.decoder.give_up() {
                send(&mut self.terminal, &requests::reply(&event, self.image));
            }
            // What came behind its beginning has its own time.
            self.heard = arch::timebase();
            self.take(&[]);
        } else if silence > SOON {
            thread::sleep(LOOK_AGAIN);
        } else {
            let until = arch::timebase() + time::timebase_ticks(PAUSE);
            while arch::timebase() < until {
                arch::wait();
            }
        }
    }
}

/// Sends an answer, or the beginning of it: the rest is dropped if the hypervisor takes nothing
/// for too long.
fn send(terminal: &mut Terminal, reply: &Reply) {
    let (header, trailer) = channel::encode(&Frame {
        kind: reply.kind,
        sequence: reply.sequence,
        payload: &reply.payload,
    });
    for part in [&header[..], &reply.payload, &trailer] {
        for piece in part.chunks(CHUNK) {
            let deadline = arch::timebase() + time::timebase_ticks(BUSY);
            while !terminal.try_send(piece) {
                if arch::timebase() >= deadline {
                    return;
                }
                thread::safe_point();
                thread::sleep(LOOK_AGAIN);
            }
        }
    }
}
