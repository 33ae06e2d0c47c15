//! Where the sockets are: a folder of the user's, and in it one for each kernel that runs.

use super::{Answer, ChannelError, connect_within};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A kernel that runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kernel {
    /// Its socket.
    pub path: PathBuf,
    /// The process that has started QEMU.
    pub process: u32,
}

/// The longest path of a socket that every system takes, in bytes, less what a file's name has
/// ([`guest_socket`]'s is as long).
const MOST_FOLDER: usize = 100 - "/4194304-4294967295.sock".len();

/// How long a socket is tried when kernels are looked for.
const TRY: Duration = Duration::from_secs(2);

/// The folder, whether it is there or not.
fn folder() -> PathBuf {
    let name = format!("klplab-{}", nix::unistd::getuid());
    let usual = std::env::temp_dir().join(&name);
    if usual.as_os_str().len() <= MOST_FOLDER {
        usual
    } else {
        Path::new("/tmp").join(name)
    }
}

/// A path for a new kernel's socket.
///
/// # Errors
/// [`ChannelError::Folder`].
pub fn fresh() -> Answer<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let path = folder();
    let refused = |reason: String| ChannelError::Folder {
        path: path.clone(),
        reason,
    };
    match DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(refused(error.to_string()));
        }
        _ => {}
    }
    let found = fs::symlink_metadata(&path).map_err(|error| refused(error.to_string()))?;
    let is_own = found.is_dir() && found.uid() == nix::unistd::getuid().as_raw();
    if !is_own || found.mode() & 0o077 != 0 {
        return Err(refused(
            "expected a folder of yours that others can't enter: remove it".into(),
        ));
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Ok(path.join(format!("{}-{number}.sock", std::process::id())))
}

/// A path for a new kernel's socket, if there can be one. Else standard error says why not: what the
/// kernel does beside it needs no channel.
#[must_use]
pub fn offer() -> Option<PathBuf> {
    fresh()
        .inspect_err(|error| eprintln!("klplab: no live patch can reach this kernel: {error}"))
        .ok()
}

/// Where QEMU gets what comes over a kernel's socket.
pub fn guest_socket(path: &Path) -> PathBuf {
    path.with_extension("qemu")
}

/// Removes what is left of a kernel's socket when QEMU has ended.
pub fn remove(path: &Path) {
    // There may never have been a client. The socket last: the others are taken for
    // leftovers without it.
    for path in [guest_socket(path), lock_file(path), path.to_owned()] {
        let _ = fs::remove_file(path);
    }
}

/// The kernels that run, by process. What is left of others is removed.
///
/// # Errors
/// [`ChannelError::Folder`].
pub fn kernels() -> Answer<Vec<Kernel>> {
    let folder = folder();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let reason = error.to_string();
            return Err(ChannelError::Folder {
                path: folder,
                reason,
            });
        }
    };
    let mut kernels: Vec<Kernel> = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        // A file without its socket: QEMU has ended, and its runner was killed.
        let socket = path.with_extension("sock");
        if !socket.exists() {
            remove(&socket);
        }
        let process = path
            .extension()
            .filter(|end| *end == "sock")
            .and(path.file_stem());
        let process = process.and_then(|name| name.to_str()?.split('-').next()?.parse().ok());
        let Some(process) = process else { continue };
        // One that has a client is there.
        match lock(&path, Duration::ZERO) {
            Err(ChannelError::Busy { .. }) => {}
            _ if matches!(
                connect_within(&path, TRY),
                Err(ChannelError::NobodyListens { .. })
            ) =>
            {
                remove(&path);
                continue;
            }
            _ => {}
        }
        kernels.push(Kernel { path, process });
    }
    kernels.sort_by(|a, b| (a.process, &a.path).cmp(&(b.process, &b.path)));
    Ok(kernels)
}

fn lock_file(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

/// Locks a kernel's socket against other clients, as long as the file is open.
///
/// # Errors
/// [`ChannelError::Busy`] when another client does not end in time;
/// [`ChannelError::NobodyListens`] where there is no such folder.
pub fn lock(path: &Path, limit: Duration) -> Answer<File> {
    let begin = Instant::now();
    if !path.exists() {
        return Err(ChannelError::NobodyListens {
            path: path.to_owned(),
        });
    }
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(lock_file(path));
    let file = file.map_err(|error| ChannelError::Folder {
        path: lock_file(path),
        reason: error.to_string(),
    })?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => {
                return Err(ChannelError::Folder {
                    path: lock_file(path),
                    reason: error.to_string(),
                });
            }
            Err(TryLockError::WouldBlock) if begin.elapsed() >= limit => {
                return Err(ChannelError::Busy {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
