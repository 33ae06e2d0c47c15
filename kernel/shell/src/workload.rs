//! Threads to look at: each does one thing with the bank's function that patches
//! replace, until it is told to go home.

use super::{error::CommandError, input};
use alloc::{format, sync::Arc, vec::Vec};
use core::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use demo::bank;
use machine::{arch, sync::IrqLock, time};
use thread::{Handle, State, Stopped};

/// At most so many at a time, those that `call` has left behind included.
pub const MOST: usize = 64;

/// What one can do.
#[derive(Debug)]
pub struct Role {
    /// What its threads are called.
    pub name: &'static str,
    /// What they do.
    pub about: &'static str,
    /// Does it, until the thread is told to go home.
    pub body: fn(&Post),
}

/// The roles of every image.
static ROLES: &[Role] = &[
    Role {
        name: "caller",
        about: "calls `bank::balance` again and again, and sleeps in between",
        body: |post| {
            while post.goes_on() {
                thread::safe_point();
                black_box(bank::balance(0, 3));
                rest(Duration::from_millis(5));
            }
        },
    },
    Role {
        name: "busy",
        about: "calls it again and again, and never gives way",
        body: |post| {
            while post.goes_on() {
                thread::safe_point();
                black_box(bank::balance(0, 3));
            }
        },
    },
    Role {
        name: "sleeper",
        about: "calls it once, and sleeps inside it: no transition that leaves it can end",
        body: |post| {
            if let Some(account) = post.account {
                black_box(bank::balance(account as u64, 3));
            }
        },
    },
    Role {
        name: "idler",
        about: "never calls it, and sleeps",
        body: |post| {
            while post.goes_on() {
                thread::safe_point();
                rest(Duration::from_millis(20));
            }
        },
    },
];

/// All roles, with those that the image adds.
pub fn roles() -> impl Iterator<Item = &'static Role> {
    let added = super::extensions().iter().flat_map(|one| one.roles);
    ROLES.iter().chain(added)
}

/// Sleeps, until a thread is told to end.
fn rest(time: Duration) {
    thread::park_until(arch::timebase() + time::timebase_ticks(time));
}

/// Where a thread works.
#[derive(Debug)]
pub struct Post {
    home: AtomicBool,
    /// The locked account that a sleeper asks for.
    account: Option<usize>,
}

impl Post {
    /// Whether the thread was not told to go home yet.
    pub fn goes_on(&self) -> bool {
        !self.home.load(Ordering::Relaxed)
    }

    fn go_home(&self) {
        self.home.store(true, Ordering::Relaxed);
        if let Some(account) = self.account {
            bank::unlock(account);
        }
    }
}

/// A thread of the workload.
struct Member {
    handle: Handle,
    post: Arc<Post>,
}

static MEMBERS: IrqLock<Vec<Member>> = IrqLock::named("shell::MEMBERS", Vec::new());

/// Accounts that sleepers may ask for; 0 is shared.
const LOCKABLE: core::ops::Range<usize> = 1..bank::ACCOUNTS;

/// Takes out of the workload the threads that have ended by themselves.
fn reap() {
    let gone: Vec<Member> = {
        let mut workload = MEMBERS.lock();
        workload
            .extract_if(.., |member| is_gone(&member.handle))
            .collect()
    };
    for member in gone {
        member.post.go_home();
        // It has ended, or a fault has stopped it: that was told then.
        let _ = member.handle.join();
    }
}

fn is_gone(handle: &Handle) -> bool {
    matches!(handle.thread().state(), State::Ended | State::Stopped)
}

/// The numbers and names of all.
pub fn members() -> Vec<Arc<thread::Thread>> {
    reap();
    MEMBERS
        .lock()
        .iter()
        .map(|member| member.handle.thread().clone())
        .collect()
}

/// Refuses when there are enough.
fn room() -> Result<(), CommandError> {
    reap();
    if MEMBERS.lock().len() >= MOST {
        return Err(CommandError::refused(format!(
            "there are {MOST} threads of the shell's already; `kill all` ends them"
        )));
    }
    Ok(())
}

/// How long a sleeper may take to get to where it sleeps.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Starts a thread in a role. Returns its number.
pub fn start(role: &'static Role) -> Result<u32, CommandError> {
    room()?;
    let mut account = None;
    if role.name == "sleeper" {
        let workload = MEMBERS.lock();
        let is_free = |account: &usize| {
            !workload
                .iter()
                .any(|one| one.post.account == Some(*account))
        };
        account = LOCKABLE.clone().find(is_free);
        drop(workload);
        let Some(account) = account else {
            return Err(CommandError::refused(format!(
                "there are {} sleepers already, one for each account that can be locked",
                LOCKABLE.len()
            )));
        };
        bank::lock(account);
    }
    let post = Arc::new(Post {
        home: AtomicBool::new(false),
        account,
    });
    let its = post.clone();
    let handle = thread::spawn(role.name, move || (role.body)(&its));
    let handle = handle.map_err(|error| {
        post.go_home();
        CommandError::refused(error)
    })?;
    let its = handle.thread().clone();
    let sleeps = post.account.is_some();
    MEMBERS.lock().push(Member { handle, post });
    if sleeps {
        // A patch that is enabled next finds it inside. A replacement may
        // not sleep at all.
        let is_on_its_way = || matches!(its.state(), State::Ready | State::Running);
        input::wait(AT_ONCE, || !is_on_its_way())?;
    }
    Ok(its.id())
}

/// How long a thread may take to go home.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ends the threads of these numbers. Returns how many have ended.
pub fn end(ids: &[u32]) -> usize {
    let mut going: Vec<Member> = {
        let mut workload = MEMBERS.lock();
        let is_meant = |member: &mut Member| ids.contains(&member.handle.thread().id());
        workload.extract_if(.., is_meant).collect()
    };
    for member in &going {
        member.post.go_home();
        member.handle.thread().unpark();
    }
    let deadline = arch::timebase() + time::timebase_ticks(PATIENCE);
    let mut ended = 0;
    for member in going.drain(..) {
        if member.handle.wait_until(deadline) {
            ended += 1;
            let _ = member.handle.join();
        } else {
            MEMBERS.lock().push(member);
        }
    }
    // This gives back what the queue is made of.
    bank::look_again();
    let mut workload = MEMBERS.lock();
    if workload.is_empty() {
        *workload = Vec::new();
    }
    ended
}

/// A thread that makes one call.
pub struct Caller(Handle);

/// Starts one.
pub fn call(name: &str, body: impl FnOnce() + Send + 'static) -> Result<Caller, CommandError> {
    room()?;
    thread::spawn(name, body)
        .map(Caller)
        .map_err(CommandError::refused)
}

impl Caller {
    /// Whether it has gone.
    pub fn is_done(&self) -> bool {
        is_gone(&self.0)
    }

    /// Takes its leave.
    pub fn join(self) -> Result<(), Stopped> {
        self.0.join()
    }

    /// Goes on without it: it is of the workload from now on.
    pub fn leave(self) {
        let post = Arc::new(Post {
            home: AtomicBool::new(true),
            account: None,
        });
        MEMBERS.lock().push(Member {
            handle: self.0,
            post,
        });
    }
}
