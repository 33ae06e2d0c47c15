//! A host core for each CPU of a guest. Left to the host, two CPUs that are busy may share one for
//! a long time, if other work keeps the host busy too.

use std::time::{Duration, Instant};

/// What QEMU calls the threads that are CPUs, if it is to name them: `CPU 0/TCG` and so on.
const NAME: &str = "CPU ";

/// How long the threads may take to come.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits until a QEMU has this many CPUs, and keeps each on a core of its own, as long as there
/// are cores. What the host does not allow is left as it is.
#[cfg(target_os = "linux")]
pub fn spread(process: u32, cpus: usize) {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    let end = Instant::now() + PATIENCE;
    let mut threads = named(process);
    while threads.len() < cpus && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
        threads = named(process);
    }
    let Ok(allowed) = sched_getaffinity(Pid::from_raw(0)) else {
        return;
    };
    let cores = (0..CpuSet::count()).filter(|&core| allowed.is_set(core).unwrap_or(false));
    for (thread, core) in threads.into_iter().zip(cores) {
        let mut own = CpuSet::new();
        if own.set(core).is_ok() {
            let _ = sched_setaffinity(Pid::from_raw(thread), &own);
        }
    }
}

/// On other hosts, nothing.
#[cfg(not(target_os = "linux"))]
pub fn spread(_: u32, _: usize) {}

/// The threads of a process that are CPUs.
#[cfg(target_os = "linux")]
fn named(process: u32) -> Vec<i32> {
    let is_cpu = |thread: &i32| {
        let name = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/comm"));
        name.is_ok_and(|name| name.starts_with(NAME))
    };
    let Ok(all) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    let numbers = all
        .flatten()
        .filter_map(|one| one.file_name().to_str()?.parse().ok());
    let mut threads: Vec<i32> = numbers.filter(is_cpu).collect();
    threads.sort_unstable();
    threads
}
