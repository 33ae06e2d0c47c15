//! The stack below C: read, and used up.

use super::{
    super::{
        fixtures::{self, Finding, Outcome, both_ways, check_way, ensure},
        functions::{self, DEPTH, LOOK},
        gate::deadline,
        watched::Call,
    },
    toc::MORE,
};
use alloc::{format, string::String};
use core::{sync::atomic::Ordering, time::Duration};
use machine::{arch, symbols};

/// C, as its module names it.
const NEW: &str = "cases::look";
/// Its caller.
const CALLER: &str = "sanitised_call_asm";

pub fn walk() -> Outcome {
    let function = functions::look as *const () as u64;
    let mut between = String::new();
    let seen = core::cell::RefCell::new(&mut between);
    both_ways("cases", |way| {
        check_way(function, way)?;
        let new = loader::find("cases").and_then(|module| module.function(NEW));
        let new = new.ok_or_else(|| Finding::Failed(format!("the module has no `{NEW}`")))?;
        LOOK.lock().1 = new..new + symbols::size_at(new).unwrap_or(0);
        Call::new(function, &[41]).run()?.returned(42 + MORE)?;
        let look = functions::take_look();
        let names = look.names;
        match look.reliable {
            Some(Ok(found)) => ensure!(
                found == Some(new),
                "the walk that is relied on finds {found:x?} instead of {new:#x}"
            ),
            other => ensure!(false, "the walk can't be relied on: {other:?}"),
        }
        let place = |wanted: &str| names.iter().position(|name| name == wanted);
        let (Some(inner), Some(outer)) = (place(NEW), place(CALLER)) else {
            return Err(Finding::Failed(format!("the walk shows {names:?}")));
        };
        ensure!(inner < outer, "the walk shows {names:?}");
        // The hand-off's own code, if C returns through it.
        for name in &names[inner + 1..outer] {
            ensure!(
                name.ends_with("_return"),
                "the walk shows {name} between C and A"
            );
            **seen.borrow_mut() = format!("{name} shows between C and A");
        }
        Ok(())
    })?;
    Ok(between)
}

pub fn overflow() -> Outcome {
    let module = fixtures::load("cases")?;
    let enabled = fixtures::enable(&module);
    drop(module);
    let result = enabled.and_then(|()| {
        fixtures::settle()?;
        let stopped = thread::stopped();
        DEPTH.store(0, Ordering::Relaxed);
        let call = Call::new(functions::endless as *const () as u64, &[1]);
        let Err(how) = call.run() else {
            return Err(Finding::Failed("it has returned".into()));
        };
        ensure!(thread::stopped() == stopped + 1, "{how}");
        // The kernel takes the patch back by itself.
        let until = deadline();
        while livepatch::find("cases").is_some() && arch::timebase() < until {
            thread::sleep(Duration::from_millis(1));
        }
        ensure!(
            livepatch::find("cases").is_none(),
            "the patch was not taken back"
        );
        Ok(DEPTH.load(Ordering::Relaxed))
    });
    let cleaned = fixtures::clean("cases");
    let depth = result?;
    cleaned?;
    ensure!(depth > 10, "the thread was stopped at depth {depth}");
    Ok(format!("stopped at depth {depth}"))
}
