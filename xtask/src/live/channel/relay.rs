//! Between the clients and QEMU, which stops its guest for a client that does not read.

use super::{Answer, ChannelError, folder};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// Bytes of a client's that wait for the guest. What is left of a client that has gone is
/// sent on, as far as it was taken.
const MOST_FOR_GUEST: usize = 4 << 10;
/// Bytes that wait for a client: twenty of the longest answers. One that leaves more is
/// cut off.
const MOST_FOR_CLIENT: usize = 64 << 10;

/// Takes one client after the other at a kernel's socket, and passes on what comes. What the
/// kernel says is always read: kept while there is a client that reads, else thrown away. So
/// no client can make the kernel wait.
#[derive(Debug)]
pub struct Relay {
    clients: PathBuf,
    guest: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens at a kernel's socket, and at one of its own for QEMU.
    ///
    /// # Errors
    /// [`ChannelError::Folder`].
    pub fn start(socket: &Path) -> Answer<Relay> {
        let bind = |path: &Path| {
            UnixListener::bind(path).map_err(|error| ChannelError::Folder {
                path: path.to_owned(),
                reason: error.to_string(),
            })
        };
        let clients = bind(socket)?;
        let path = folder::guest_socket(socket);
        let guest = bind(&path)?;
        let thread = std::thread::spawn(move || {
            let Ok((stream, _)) = guest.accept() else {
                return;
            };
            // Nothing else is let in. An error is QEMU's end, as an end of its output is.
            drop(guest);
            let _ = pass_on(&stream, &clients);
        });
        Ok(Relay {
            clients: socket.to_owned(),
            guest: path,
            thread: Some(thread),
        })
    }

    /// Where QEMU connects to.
    #[must_use]
    pub fn for_qemu(&self) -> &Path {
        &self.guest
    }
}

impl Drop for Relay {
    /// Call it when QEMU has ended: it waits for that.
    fn drop(&mut self) {
        // If QEMU has never connected, this does in its place, and ends at once.
        drop(UnixStream::connect(&self.guest));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        folder::remove(&self.clients);
    }
}

/// Passes on until QEMU ends.
fn pass_on(guest: &UnixStream, clients: &UnixListener) -> io::Result<()> {
    guest.set_nonblocking(true)?;
    let mut client: Option<UnixStream> = None;
    let (mut for_guest, mut for_client) = (Vec::new(), Vec::new());
    loop {
        let when = |condition: bool, flag: PollFlags| match condition {
            true => flag,
            false => PollFlags::empty(),
        };
        let takes = for_guest.len() < MOST_FOR_GUEST;
        let from = client.as_ref().map_or(clients.as_fd(), AsFd::as_fd);
        let mut watched = [
            PollFd::new(
                guest.as_fd(),
                PollFlags::POLLIN | when(!for_guest.is_empty(), PollFlags::POLLOUT),
            ),
            PollFd::new(
                from,
                when(client.is_none() || takes, PollFlags::POLLIN)
                    | when(!for_client.is_empty(), PollFlags::POLLOUT),
            ),
        ];
        match poll(&mut watched, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            result => result?,
        };
        let events = watched.map(|one| one.revents().unwrap_or(PollFlags::all()));
        let ended = PollFlags::POLLHUP | PollFlags::POLLERR;

        if events[0].intersects(PollFlags::POLLIN | ended) && !receive(guest, &mut for_client)? {
            return Ok(());
        }
        if events[0].contains(PollFlags::POLLOUT) {
            send(guest, &mut for_guest)?;
        }
        let Some(stream) = &client else {
            for_client.clear();
            if events[1].contains(PollFlags::POLLIN) {
                let (stream, _) = clients.accept()?;
                stream.set_nonblocking(true)?;
                client = Some(stream);
            }
            continue;
        };
        // One that has gone before all of it was taken has taken the rest along.
        let stays = if events[1].intersects(PollFlags::POLLIN | ended) {
            takes && receive(stream, &mut for_guest).unwrap_or(false)
        } else {
            true
        };
        let reads = send(stream, &mut for_client).is_ok() && for_client.len() <= MOST_FOR_CLIENT;
        if !(stays && reads) {
            client = None;
        }
    }
}

/// Adds what has come to the bytes. False at the end.
fn receive(mut stream: &UnixStream, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut room = [0; 1024];
    match stream.read(&mut room) {
        Ok(count) => {
            bytes.extend(&room[..count]);
            Ok(count > 0)
        }
        Err(error) if is_for_later(&error) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Sends of the bytes what is taken now.
fn send(mut stream: &UnixStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    match stream.write(bytes) {
        Ok(count) => {
            bytes.drain(..count);
            Ok(())
        }
        Err(error) if is_for_later(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let name = format!("klplab-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    }

    /// Reads until these bytes have come.
    fn until(mut stream: &UnixStream, wanted: &[u8]) {
        let mut came = Vec::new();
        while !came.ends_with(wanted) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            came.extend(byte);
        }
    }

    #[test]
    fn a_client_that_does_not_read_is_cut_off_and_the_next_is_served() {
        let folder = folder("relay");
        let path = folder.join("1-0.sock");
        let relay = Relay::start(&path).unwrap();
        let mut guest = UnixStream::connect(relay.for_qemu()).unwrap();

        let mut idle = UnixStream::connect(&path).unwrap();
        idle.write_all(b"one").unwrap();
        until(&guest, b"one");
        idle.set_nonblocking(true).unwrap();
        let is_cut_off = |mut idle: &UnixStream| {
            let error = idle.write(b"more").err();
            error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
        };
        while !is_cut_off(&idle) {
            guest.write_all(&[1; 1024]).unwrap();
        }

        let mut next = UnixStream::connect(&path).unwrap();
        next.write_all(b"two").unwrap();
        until(&guest, b"two");
        guest.write_all(b"answer").unwrap();
        until(&next, b"answer");

        drop(guest);
        assert_eq!(next.read(&mut [0]).unwrap(), 0);
        drop(relay);
        // Nothing is left.
        std::fs::remove_dir(&folder).unwrap();
    }

    #[test]
    fn a_qemu_that_never_comes_is_not_waited_for() {
        let folder = folder("no-relay");
        drop(Relay::start(&folder.join("1-0.sock")).unwrap());
        std::fs::remove_dir(&folder).unwrap();
    }
}
