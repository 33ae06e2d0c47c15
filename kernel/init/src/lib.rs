//! The kernel's first steps, in the order in which they depend on each other.
#![no_std]

#[macro_use]
extern crate machine;

use boot::BootInfo;
use bootargs::{BootArgs, Color, LogLevel, Mmu, Mode};
use core::fmt::Display;
use machine::{
    arch::{self, Stack},
    console, cpus, fault,
    log::LevelFilter,
    mm::{self, stacks},
    mmu::{self, Kind},
    platform, stack, time,
};
use memmap::Range;
use report::Verdict;
use shell::Extension;
use thread::{CpuError, interrupt, isolation};

/// What an image does, beside what all of them do.
#[derive(Debug)]
pub struct Image {
    /// Which it is.
    pub which: bootargs::Image,
    /// What the shell offers beside its own commands.
    pub extensions: &'static [&'static Extension],
    /// Does what the boot arguments say: [`run`], or what calls that for the rest.
    pub run: fn(&BootArgs<'_>) -> Verdict,
}

/// The image that runs.
static IMAGE: spin::Once<&Image> = spin::Once::new();

/// Starts the kernel on the boot stack, and continues on the main stack.
pub fn start(info: &BootInfo, image: &'static Image) -> ! {
    IMAGE.call_once(|| image);
    arch::start_cpu();
    let platform = platform::discover(info).unwrap_or_else(|error| refuse(&error));
    console::use_terminals(platform.console, platform.report);
    if let Err(status) = arch::take_interrupts_in_little_endian() {
        refuse(&format_args!(
            "H_SET_MODE for little-endian interrupts returned {status}"
        ));
    }
    // SAFETY: interrupts have never been on, firmware was quiesced or is long
    // gone, the vectors' memory is kept out of the heap, and the fallback stack
    // has no other use.
    unsafe { arch::install_vectors(interrupt::handle, &stack::fallback(0)) };
    arch::accept_ipis();
    // What is wrong with the arguments is said when there is a log.
    let wanted = bootargs::parse(platform.bootargs).map_or(Mmu::Auto, |arguments| arguments.mmu);
    let kind = mmu::choose(kind(wanted)).unwrap_or_else(|error| refuse(&error));
    mm::start(platform, kind).unwrap_or_else(|error| refuse(&error));
    mmu::start(kind).unwrap_or_else(|error| refuse(&error));
    mmu::enter(arch::interrupts_off());
    let Some(stacks) = stacks::allocate(stack::MAIN_BYTES) else {
        refuse(&"no memory for the main stack");
    };
    let Range { start, end } = stacks.stack();
    // SAFETY: the memory is this stack's, for good. Interrupts are off, and go on being off until
    // `on_main_stack` turns them on; the stack is fresh.
    unsafe {
        let main_stack = Stack::new(start, end);
        stack::use_stack(&main_stack, stacks.livepatch().start);
        arch::call_on_stack(&main_stack, on_main_stack)
    }
}

/// Ends a run whose machine the kernel can't work with.
fn refuse(why: &dyn Display) -> ! {
    println!("can't run on this machine: {why}");
    fault::exit(Verdict::BadPlatform)
}

/// What the boot argument asks for.
const fn kind(wanted: Mmu) -> Option<Kind> {
    match wanted {
        Mmu::Auto => None,
        Mmu::Radix => Some(Kind::Radix),
        Mmu::Hash => Some(Kind::Hash),
        Mmu::Off => Some(Kind::Off),
    }
}

extern "C" fn on_main_stack() -> ! {
    if let Err(error) = stack::close_guards() {
        refuse(&error);
    }
    let arguments = match bootargs::parse(platform::get().bootargs) {
        Ok(arguments) => arguments,
        Err(error) => {
            println!("{error}");
            fault::exit(Verdict::BadArgument)
        }
    };
    console::set_color(arguments.color == Color::Always);
    console::start_log(level(arguments.log));
    isolation::start();
    if let Err(error) = ftrace::start() {
        refuse(&error);
    }
    tracing::start();
    if let Err(error) = thread::start() {
        refuse(&error);
    }
    loader::start();
    if let Err(error) = livepatch::start() {
        refuse(&error);
    }
    debugger::start();
    time::start();
    start_cpus();
    // SAFETY: the vectors are there, and this function holds no guard.
    unsafe { arch::interrupts_on() };
    let verdict = begin(&arguments);
    if let Err(damage) = stack::check_guard() {
        println!("STACK OVERFLOW: {damage}");
        fault::exit(Verdict::StackOverflow)
    }
    fault::exit(verdict)
}

/// Starts the other CPUs, and says of those that stay off why.
fn start_cpus() {
    let mut too_many = 0;
    thread::start_cpus(|id, error| match error {
        CpuError::TooMany => too_many += 1,
        error => println!("the CPU with hardware id {id} is not used: {error}"),
    });
    if too_many > 0 {
        let used = cpus::count();
        println!(
            "{used} of {} CPUs are used: {}",
            platform::get().cpus,
            CpuError::TooMany
        );
    }
}

#[inline(never)] // its name is in every backtrace
fn begin(arguments: &BootArgs<'_>) -> Verdict {
    demo::report_boot();
    // The laboratory and the cost meter choose by themselves.
    let chooses = matches!(
        arguments.mode,
        Mode::Matrix | Mode::Explore | Mode::Bench | Mode::Throughput
    );
    if let Some(name) = arguments.variant.filter(|_| !chooses)
        && let Err(error) = livepatch::variants::choose(name)
    {
        println!("boot argument `variant={name}`: {error}");
        return Verdict::BadArgument;
    }
    let image = IMAGE.get().expect("`start` has set it");
    shell::extend(image.extensions);
    if let Err(error) = live::start(image.which.word()) {
        println!("no patch can come over the channel: {error}");
    }
    (image.run)(arguments)
}

/// Does what every image can, and refuses the rest.
pub fn run(arguments: &BootArgs<'_>) -> Verdict {
    match (arguments.image(), arguments.mode) {
        (bootargs::Image::Klplab, Mode::Run) => demo::run(),
        (bootargs::Image::Klplab, _) => shell::run(arguments),
        (needed, _) => {
            println!("boot arguments: they are for the image `{needed}` or a larger one");
            Verdict::BadArgument
        }
    }
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Trace => LevelFilter::Trace,
    }
}
