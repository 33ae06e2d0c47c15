//! The kernel's tracers: what comes and goes at a site, and at that of the new
//! function, while a call is on its way.

use super::{PATCH, disturbance::text, situation};
use alloc::string::String;
use arrayvec::ArrayVec;
use core::fmt;
use ftrace::{FtraceError, Ops, Site};
use tracing::{function, graph, hits};

/// The new function that the patch has in place of the one that is called.
const NEW: &str = "explore::value";

/// Which tracer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The function tracer: its callback needs no guard.
    Function,
    /// The function graph tracer, which changes return addresses.
    Graph,
    /// The function profile: its callback is guarded.
    Hits,
}

/// At which functions of a patched call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum At {
    /// The old one, B.
    Old,
    /// The new one, C.
    New,
    /// B and C.
    Both,
}

/// A tracer with its functions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tracer(pub Kind, pub At);

impl fmt::Display for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(kind, at) = self;
        f.write_str(match kind {
            Kind::Function => "function tracer",
            Kind::Graph => "graph tracer",
            Kind::Hits => "hits tracer",
        })?;
        f.write_str(match at {
            At::Old => " on B",
            At::New => " on C",
            At::Both => " on B and C",
        })
    }
}

impl Kind {
    const ALL: [Self; 3] = [Self::Function, Self::Graph, Self::Hits];

    fn ops(self) -> &'static Ops {
        match self {
            Self::Function => &function::OPS,
            Self::Graph => &graph::OPS,
            Self::Hits => &hits::OPS,
        }
    }
}

impl Tracer {
    fn sites(self) -> Result<ArrayVec<Site, 2>, String> {
        let mut sites = ArrayVec::new();
        if self.1 != At::New {
            sites.push(situation::site()?);
        }
        if self.1 != At::Old {
            let module = loader::find(PATCH).ok_or("the patch is not loaded")?;
            let site = module.function(NEW).and_then(ftrace::find_site);
            sites.push(site.ok_or("the new function has no site")?);
        }
        Ok(sites)
    }

    /// Attaches it.
    ///
    /// # Errors
    /// When tracing refuses.
    pub fn attach(self) -> Result<(), String> {
        ftrace::register_at_all(self.0.ops(), &self.sites()?).map_err(text)
    }

    /// Detaches it, and waits until no thread is in its callback.
    ///
    /// # Errors
    /// When tracing refuses.
    pub fn detach(self) -> Result<(), String> {
        ftrace::unregister(self.0.ops()).map_err(text)
    }
}

/// Takes the memory that they need.
///
/// # Errors
/// When there is none.
pub fn reserve() -> Result<(), String> {
    hits::reset().map_err(text)
}

/// Detaches whichever are attached, and empties the ring: a full one is another way
/// through the callbacks.
///
/// # Errors
/// When tracing refuses.
pub fn take_down() -> Result<(), String> {
    for kind in Kind::ALL {
        match ftrace::unregister(kind.ops()) {
            Ok(()) | Err(FtraceError::NotRegistered(_)) => {}
            Err(error) => return Err(text(error)),
        }
    }
    tracing::write("trace", "").map_err(text)
}
