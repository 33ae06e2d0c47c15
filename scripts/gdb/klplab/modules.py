"""Symbols of modules: added when one is loaded, removed when it goes."""

import os

import gdb

from . import memory

# Where modules are, as CONVENTION/NAME.debug.ko.
_folder = ""
# By where its code starts: the file of a module whose symbols were added.
_loaded = {}


class Loaded(gdb.Breakpoint):
    """The kernel has loaded a module: its name and its convention, each with its length,
    and its sections and how many."""

    def stop(self):
        name, length, convention, convention_length, sections, count = (
            memory.register("r%d" % n) for n in range(3, 9)
        )
        places = {}
        for number in range(count):
            # `debugger::Section`: three doublewords.
            entry = sections + 24 * number
            text, bytes_, address = (memory.read_u64(entry + 8 * field) for field in range(3))
            if address:
                places[memory.read(text, bytes_).decode()] = address
        convention = memory.read(convention, convention_length).decode()
        add(memory.read(name, length).decode(), convention, places)
        return False


class Gone(gdb.Breakpoint):
    """A module is about to go, whose code starts there."""

    def stop(self):
        remove(memory.register("r3"))
        return False


def prepare(folder):
    """Sets the breakpoints. The files are in the folder, by convention."""
    global _folder
    _folder = folder
    for kind, symbol in ((Loaded, "klp_debugger_module_loaded"), (Gone, "klp_debugger_module_gone")):
        kind("*%#x" % memory.local_entry(memory.address(symbol)), internal=True)


def add(name, convention, places):
    """Adds the symbols of a module whose sections lie there."""
    file = os.path.join(_folder, convention, name + ".debug.ko")
    if not os.path.isfile(file) or ".text" not in places:
        print("klplab: no symbols of module %s: there is no %s" % (name, file))
        return
    if places[".text"] in _loaded:
        # Seen with gdb 13: the same halt may be asked about twice.
        return
    others = " ".join("-s %s %#x" % entry for entry in places.items() if entry[0] != ".text")
    gdb.execute('add-symbol-file "%s" %#x %s' % (file, places[".text"], others), to_string=True)
    _loaded[places[".text"]] = name
    print("klplab: symbols of module %s at %#x" % (name, places[".text"]))


def remove(start):
    """Removes the symbols of the module whose code starts there."""
    name = _loaded.pop(start, None)
    if name is not None:
        gdb.execute("remove-symbol-file -a %#x" % start, to_string=True)
        print("klplab: module %s is gone" % name)
