"""A patched call, from its site to its caller.

A journey begins at a site that holds a `bl`, with a call that will reach the
replacement, and goes on with that call alone, told from others by its caller's r1.
Breakpoints of later stages are made when the stage before is reached, for only then
is it known where they belong: trampolines and stubs come and go.
"""

import gdb

from . import memory, unwind

# Whose calls are followed by default: the demonstration's function.
FUNCTION = "demo::bank::balance"

ADDI_R1_R1 = 0x3821
MFCTR_R12 = 0x7D8902A6
MTCTR_R12 = 0x7D8903A6
MTLR_R0 = 0x7C0803A6
# The longest trampoline there is has fewer words.
MOST_WORDS = 512
# A hand-off may open a small frame between the caller's and the replacement's.
MINI_FRAME = 64


def hand_off_of(start):
    """What the code is that a site calls, and where its hand-off begins; nothing if it
    has none, for no call goes elsewhere from there."""
    words = memory.words(start, 8)
    if words[0] == MTLR_R0:
        # mtlr r0; lis r12; ori r12; and with some variants, mtctr r12.
        return "stub", start + 4 * (4 if words[3] == MTCTR_R12 else 3)
    words = memory.words(start, MOST_WORDS)
    for number in range(1, MOST_WORDS):
        closed = words[number - 1] >> 16 == ADDI_R1_R1
        if closed and words[number] == MFCTR_R12:
            return "trampoline", start + 4 * (number + 1)
    return "trampoline", None


class Sides:
    """On which side of the running transition the running thread is."""

    def __init__(self):
        self.number = None
        self.current = 0
        self.patch_state = 0

    def is_new(self):
        """Whether calls of the running thread go to new functions."""
        if self.number is None:
            return True
        thread = memory.read_u64(memory.register("r13") + self.current)
        return memory.read_u64(thread + self.patch_state) == memory.read_u64(self.number)


class Stage(gdb.Breakpoint):
    """A place on the way of one call."""

    def __init__(self, journey, place, reached):
        super().__init__("*%#x" % place, internal=True)
        self.silent = True
        self.journey = journey
        self.reached = reached

    def stop(self):
        r1, caller = memory.register("r1"), self.journey.r1
        if not caller - MINI_FRAME <= r1 <= caller:
            return False
        return self.reached()


class Site(gdb.Breakpoint):
    """The site, while it holds a `bl`."""

    def __init__(self, journey):
        super().__init__("*%#x" % journey.site, internal=True)
        self.silent = True
        self.journey = journey

    def stop(self):
        return self.journey.at_site()


class Ways(gdb.Breakpoint):
    """Calls of patched functions take another way: is there one for ours now?"""

    def __init__(self, follower):
        place = memory.local_entry(memory.address("klp_debugger_ways_changed"))
        super().__init__("*%#x" % place, internal=True)
        self.follower = follower

    def stop(self):
        sides = self.follower.sides
        sides.number, sides.current, sides.patch_state = (
            memory.register("r%d" % n) for n in (3, 4, 5)
        )
        self.follower.look()
        return False


class Journey:
    """Calls of one function: one by way of its trampoline, one by its settled stub."""

    def __init__(self, function, sides):
        self.function = function
        self.sides = sides
        self.site = memory.site_of(memory.address(function))
        if self.site is None:
            raise gdb.GdbError("%s has no site: it can't be traced or patched" % function)
        self.todo = {"trampoline", "stub"}
        self.r1 = 0
        self.stage = None
        # What is to be done when the kernel has halted: gdb wants no breakpoints
        # made while it asks one whether to stop.
        self.then = None
        self.breakpoint = Site(self)
        self.look()

    def target(self):
        """Where the site's `bl` goes."""
        return memory.branch_target(self.site, memory.words(self.site, 1)[0])

    def look(self):
        """Watches the site as long as it holds a `bl` to what is still to be seen."""
        target = self.target()
        self.breakpoint.enabled = target is not None and hand_off_of(target)[0] in self.todo

    def say(self, number, text):
        """Says which stage was reached."""
        print("klplab: %d. %s" % (number, text))

    def go_on(self, place, reached):
        """The next stage, once the kernel has halted."""

        def then():
            self.forget_stage()
            if place is not None:
                self.stage = Stage(self, place, reached)

        self.then = then

    def forget_stage(self):
        """Deletes the breakpoint of the stage that was waited for."""
        if self.stage is not None:
            self.stage.delete()
            self.stage = None

    def halted(self):
        """The kernel has halted, here or elsewhere."""
        then, self.then = self.then, None
        if then is not None:
            then()

    def at_site(self):
        target = self.target()
        if self.stage is not None or target is None or not self.sides.is_new():
            return False
        self.r1, self.r2 = memory.register("r1"), memory.register("r2")
        self.caller = memory.register("r0")
        self.kind, self.hand_off = hand_off_of(target)
        if self.kind not in self.todo:
            return False
        unwind.know(target, self.hand_off)
        text = "site of %s, called from %s: bl %#x"
        self.say(1, text % (self.function, memory.name(self.caller), target))
        self.go_on(target, self.at_start)
        return True

    def at_start(self):
        what = {"trampoline": "trampoline", "stub": "settled stub"}[self.kind]
        self.say(2, "%s of %s" % (what, self.function))
        if self.hand_off is None:
            print("klplab: it has no hand-off: no call goes elsewhere from here")
            self.finish()
        else:
            self.go_on(self.hand_off, self.at_hand_off)
        return True

    def at_hand_off(self):
        new = memory.register("r12")
        self.say(3, "hand-off: on to %s" % memory.name(new))
        self.go_on(new, self.at_replacement)
        return True

    def at_replacement(self):
        self.say(4, "replacement %s" % memory.name(memory.register("pc")))
        self.go_on(self.caller, self.at_caller)
        return True

    def at_caller(self):
        r1, r2 = memory.register("r1"), memory.register("r2")
        if r1 != self.r1:
            return False
        same = "as before the call" if r2 == self.r2 else "%#x before the call" % self.r2
        self.say(5, "back in %s: r2 = %#x, %s" % (memory.name(self.caller), r2, same))
        self.finish()
        return True

    def finish(self):
        """This way has been seen."""
        self.todo.discard(self.kind)

        def then():
            self.forget_stage()
            self.look()

        self.then = then

    def end(self):
        """Follows no more calls."""
        self.forget_stage()
        self.breakpoint.delete()


class Follower(gdb.Command):
    """Follow calls of a patched function: klp-follow FUNCTION, or klp-follow off.

    The kernel then halts at the site, in the trampoline or the settled stub, at the
    hand-off, in the replacement and at the caller of one call each way."""

    def __init__(self):
        super().__init__("klp-follow", gdb.COMMAND_BREAKPOINTS)
        self.sides = Sides()
        self.journey = None
        Ways(self)
        gdb.events.stop.connect(self.halted)

    def look(self):
        """Calls may take another way now."""
        if self.journey is not None:
            self.journey.look()

    def halted(self, _):
        if self.journey is not None:
            self.journey.halted()

    def invoke(self, argument, from_tty):
        function = argument.strip()
        if not function:
            raise gdb.GdbError("which function? klp-follow FUNCTION, or klp-follow off")
        try:
            new = None if function == "off" else Journey(function, self.sides)
        except memory.NotThere as error:
            raise gdb.GdbError(str(error)) from error
        if self.journey is not None:
            self.journey.end()
        self.journey = new


def prepare():
    """Makes the command, and follows the demonstration's function."""
    Follower().invoke(FUNCTION, False)
