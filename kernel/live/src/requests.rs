//! What is done for a request, and what is answered.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use channel::{
    Event, Frame, Hello, Kind, MOST_ANSWER, MOST_BYTES, PatchStatus, State, Status, ThreadStatus,
    Transition, VERSION, to_json,
};
use core::{fmt::Display, time::Duration};
use livepatch::{Blocked, Descriptor, Options, Progress, variants};
use loader::ModuleError;
use machine::{cpus, platform, symbols::Path};

/// An answer.
pub struct Reply {
    pub kind: Kind,
    /// The request's.
    pub sequence: u32,
    pub payload: Vec<u8>,
}

/// What an answer carries, or why the request was refused.
type Answer = Result<Vec<u8>, String>;

/// Names and sentences in lists are cut to so many bytes.
const MOST_TEXT: usize = 200;

/// What must be free for a request to be looked at, in bytes: what it takes to say more than that
/// there is no memory. The loader asks for what it needs beside it.
const SPARE: usize = 64 * 1024;

/// Does what was asked for, and answers.
pub fn reply(event: &Event<'_>, image: &str) -> Reply {
    let (sequence, answer) = match event {
        Event::Frame(frame) => (frame.sequence, act(frame, image)),
        Event::Damaged { sequence, damage } => (*sequence, Err(damage.to_string())),
    };
    let (kind, payload) = match answer {
        Ok(payload) => (Kind::Done, payload),
        Err(why) => (Kind::Refused, cut(why, MOST_ANSWER).into_bytes()),
    };
    Reply {
        kind,
        sequence,
        payload,
    }
}

fn act(frame: &Frame<'_>, image: &str) -> Answer {
    if Vec::<u8>::new().try_reserve_exact(SPARE).is_err() {
        return Err("no memory".into());
    }
    match frame.kind {
        Kind::Hello => Ok(hello(image)),
        Kind::Status => Ok(status()),
        Kind::Load => load(frame.payload),
        Kind::Enable => done(enable(name(frame)?)),
        Kind::Disable => done(livepatch::disable(name(frame)?)),
        Kind::Reverse => done(livepatch::reverse()),
        Kind::Unload => unload(name(frame)?),
        Kind::Done | Kind::Refused => Err("an answer is no request".into()),
    }
}

/// A request whose success says all.
fn done(result: Result<(), impl Display>) -> Answer {
    result.map(|()| Vec::new()).map_err(refused)
}

fn refused(why: impl Display) -> String {
    why.to_string()
}

/// The module that a request names.
fn name<'a>(frame: &Frame<'a>) -> Result<&'a str, String> {
    let name = core::str::from_utf8(frame.payload).ok();
    let name = name.filter(|name| !name.is_empty() && name.len() <= MOST_TEXT);
    name.ok_or_else(|| format!("expected a name of 1 to {MOST_TEXT} bytes, in UTF-8"))
}

fn load(file: &[u8]) -> Answer {
    let module = loader::load(file).map_err(refused)?;
    Ok(cut(module.name.clone(), MOST_ANSWER).into_bytes())
}

fn enable(name: &str) -> Result<(), String> {
    let module = loader::find(name).ok_or_else(|| refused(ModuleError::NotLoaded(name)))?;
    let enabled = livepatch::enable(&module, Options::default());
    enabled.map(drop).map_err(refused)
}

fn unload(name: &str) -> Answer {
    /// Looks, while the thread that has ended its transition still holds the module.
    const LOOKS: u32 = 20;
    const LOOK: Duration = Duration::from_millis(5);

    for _ in 0..LOOKS {
        if livepatch::find(name).is_some() {
            return Err(format!(
                "patch `{name}` is enabled; it has to be disabled first"
            ));
        }
        match loader::unload(name) {
            Err(ModuleError::InUse(_)) => thread::sleep(LOOK),
            result => return done(result),
        }
    }
    done(loader::unload(name))
}

fn hello(image: &str) -> Vec<u8> {
    let build_id = loader::build_id();
    let patches = livepatch::patches().into_iter();
    let mut hello = Hello {
        version: VERSION,
        build_id: build_id.iter().map(|byte| format!("{byte:02x}")).collect(),
        image: image.into(),
        variant: variants::current().name.into(),
        processor: text(platform::get().cpu.trim_start_matches("PowerPC,")),
        cpus: cpus::count() as u32,
        patches: patches.map(|(patch, _)| text(patch.name())).collect(),
        most_bytes: MOST_BYTES as u32,
    };
    fitting(|shorten| {
        if shorten && !hello.patches.is_empty() {
            hello.patches.remove(0);
        }
        json(&hello)
    })
}

fn status() -> Vec<u8> {
    let modules = loader::loaded().into_iter();
    let patches = modules.filter(|module| !Descriptor::of(module).targets.is_empty());
    let patches = patches.map(|module| PatchStatus {
        name: text(&module.name),
        state: livepatch::find(&module.name).map_or(State::Loaded, |(_, status)| state(status)),
    });
    let mut status = Status {
        patches: patches.collect(),
        transition: transition(),
    };
    fitting(|shorten| {
        let rows = status.transition.as_mut().map(|one| &mut one.rows);
        if shorten && rows.is_none_or(|rows| rows.pop().is_none()) && !status.patches.is_empty() {
            status.patches.remove(0);
        }
        json(&status)
    })
}

const fn state(status: livepatch::Status) -> State {
    match status {
        livepatch::Status::Enabling => State::Enabling,
        livepatch::Status::Enabled => State::Enabled,
        livepatch::Status::Disabling => State::Disabling,
    }
}

/// The running transition. It may end meanwhile: then there are no rows.
fn transition() -> Option<Transition> {
    let running = livepatch::running()?;
    let all = livepatch::progress();
    let switched = all.iter().filter(|one| one.switched).count();
    let mut rows: Vec<ThreadStatus> = all.iter().map(row).collect();
    rows.sort_by_key(|one| one.switched);
    Some(Transition {
        number: running.number,
        patch: text(&running.patch),
        enables: running.enables(),
        reversed: running.reversed,
        switched: switched as u32,
        threads: all.len() as u32,
        rows,
    })
}

fn row(one: &Progress) -> ThreadStatus {
    let function = match one.blocked {
        Some(Blocked::Function { function }) => text(Path(function)),
        _ => String::new(),
    };
    ThreadStatus {
        name: one.thread.name().into(),
        id: one.thread.id(),
        cpu: one.thread.cpu(),
        switched: one.switched,
        why: one.blocked.map_or_else(String::new, text),
        function,
    }
}

fn text(what: impl Display) -> String {
    cut(what.to_string(), MOST_TEXT)
}

fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}

fn json(answer: &impl channel::Serialize) -> Option<Vec<u8>> {
    let mut room = [0; MOST_ANSWER];
    to_json(answer, &mut room).map(Into::into)
}

/// What `make` makes, which is told to shorten it until it fits. Without lists, each does.
fn fitting(mut make: impl FnMut(bool) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut made = make(false);
    loop {
        match made {
            Some(answer) => return answer,
            None => made = make(true),
        }
    }
}
