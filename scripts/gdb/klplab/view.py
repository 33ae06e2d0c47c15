"""klp-threads, klp-sites, klp-patches and klp-settle: the kernel writes its tables down itself
(kernel/debugger/src/lib.rs). It is called for that wherever it was halted, on a stack
of its own, with interrupts off; then all registers are as they were."""

import gdb

from . import memory

NOT_UP = "The kernel is not up yet: it has no such table before init::start is through."
# In MSR: interrupts are taken.
EE = 0x8000
# Big endian, in which nothing of the kernel's runs.
LE = 1
# As in all of the kernel but the first instructions of a vector: its guards compare MSR.
RI = 2
# Not a table: whether the kernel was halted while it changes one.
BUSY = 3
# Instructions of one CPU before another one's.
STEPS = 16
# The call of the hypervisor that waits for an interrupt, its number in r3.
SC_1 = 0x44000022
H_CEDE = 0xE0


def show(what, nothing, head="", pattern=""):
    """Prints one of the tables, or that there is none yet."""
    lines = table(what, pattern)
    if lines is None:
        print(NOT_UP)
    elif lines:
        print(head + lines, end="")
    else:
        print(nothing)


def words(*names):
    """What the kernel tells a debugger, by name."""
    return [memory.read_u64(memory.address("KLP_DEBUGGER_" + name)) for name in names]


def table(what, pattern):
    """One of the tables, as the kernel writes it; None if it can't yet."""
    try:
        cpu, end, entry, stack, text = words("CPU", "CPUS_END", "VIEW", "STACK", "TEXT")
    except memory.NotThere as error:
        raise gdb.GdbError("this is no kernel of ours: %s" % error) from error
    if cpu == 0:
        return None
    # The selected CPU's own, unless it does not run the kernel.
    r13 = memory.register("r13")
    cpu = r13 if cpu <= r13 < end else cpu
    lines, number = "", 0
    while True:
        memory.write_text(text, pattern)
        number = call(entry, what, number, cpu, stack)
        lines += memory.read_text(text)
        if number == 0:
            return lines


def call(entry, first, second, cpu, stack):
    """What a function of the kernel's returns, called where it is halted."""
    frame = gdb.selected_frame()
    gdb.newest_frame().select()
    before = {name: memory.register(name) for name in ("msr", "r1", "r13")}
    # A breakpoint in the function would end the call half-way.
    ours = [one for one in gdb.breakpoints() or () if one.enabled]
    language = gdb.parameter("language")
    locking = gdb.parameter("scheduler-locking")
    for one in ours:
        one.enabled = False
    try:
        gdb.execute("set language c", to_string=True)
        # The other CPUs stay halted.
        gdb.execute("set scheduler-locking on")
        values = {"msr": before["msr"] & ~EE | LE | RI, "r1": stack, "r13": cpu}
        for name, value in values.items():
            gdb.execute("set $%s = %#x" % (name, value))
        function = "((unsigned long (*)(unsigned long, unsigned long)) %#x)" % entry
        return int(gdb.parse_and_eval("%s(%d, %d)" % (function, first, second)))
    finally:
        for name, value in before.items():
            gdb.execute("set $%s = %#x" % (name, value))
        gdb.execute("set language " + language, to_string=True)
        gdb.execute("set scheduler-locking " + locking)
        for one in ours:
            one.enabled = True
        if frame.is_valid():
            frame.select()


class Threads(gdb.Command):
    """List the kernel's threads: number, name, state, patch state, and where they wait."""

    def __init__(self):
        super().__init__("klp-threads", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        show(0, "", "  id  name         state      patch_state  where\n")


class Sites(gdb.Command):
    """List sites that something is attached to: klp-sites; or all of functions that a
    pattern names: klp-sites demo::bank::*"""

    def __init__(self):
        super().__init__("klp-sites", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        pattern = argument.strip()
        nothing = "No site has such a name." if pattern else "All sites are at rest."
        show(1, nothing, pattern=pattern)


class Patches(gdb.Command):
    """List patches that are enabled or in transition, and what they replace."""

    def __init__(self):
        super().__init__("klp-patches", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        show(2, "No patch is enabled.")


class Settle(gdb.Command):
    """Step on until no table of the kernel's is being changed. That is done with interrupts
    off, so only CPUs that have them off are stepped, by turns; then the selected one is
    selected again."""

    def __init__(self):
        super().__init__("klp-settle", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        selected = gdb.selected_thread()
        locking = gdb.parameter("scheduler-locking")
        steps = 0
        try:
            # Or a step of one CPU may be all that any of them gets to do.
            gdb.execute("set scheduler-locking on")
            while table(BUSY, ""):
                stepped = sum(step(cpu) for cpu in gdb.selected_inferior().threads())
                if stepped == 0:
                    raise gdb.GdbError("No CPU is where it could be changing a table.")
                selected.switch()
                steps += stepped
        finally:
            gdb.execute("set scheduler-locking " + locking)
            selected.switch()
        print("No table is being changed. Instructions stepped: %d" % steps)


def step(cpu):
    """Steps a CPU a few instructions, if it may be changing a table. Returns how many."""
    cpu.switch()
    begin, end = words("CPU", "CPUS_END")
    for done in range(STEPS):
        # One that firmware has not started yet has no data of the kernel's.
        if memory.register("msr") & EE or not begin <= memory.register("r13") < end:
            return done
        # One that gives its CPU away would not come back: the others are halted.
        if (
            memory.words(memory.register("pc"), 1) == (SC_1,)
            and memory.register("r3") == H_CEDE
        ):
            return done
        gdb.execute("stepi", to_string=True)
    return STEPS


def prepare():
    """Makes the commands."""
    for command in (Threads, Sites, Patches, Settle):
        command()
