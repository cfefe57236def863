#!/usr/bin/env python3
"""Rooms include only what src/LAYERS allows, and only through each other's doors."""
import pathlib
import re
import sys

import sources

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')


class Layers:
    def __init__(self, text):
        self.may_use = {}
        self.many_doors = set()
        for line in text.splitlines():
            line = line.split("#")[0].strip()
            if not line:
                continue
            room, _, rest = line.partition(":")
            if room == "many doors":
                self.many_doors = set(rest.split())
                continue
            for used in rest.split():
                if used not in self.may_use:
                    sys.exit(f"src/LAYERS: {room} may use {used}, which does not stand above it")
            self.may_use[room] = set(rest.split())

    def room_of(self, path):
        if path.parts[0] == "src":
            return path.parts[1] if len(path.parts) > 2 else None
        return path.parts[0]

    def is_door(self, room, name):
        if name.endswith("_private.h"):
            return False
        return room in self.many_doors or name == room + ".h"

    def problems(self, path, text):
        room = self.room_of(path)
        if room == "include":
            allowed = set()
        elif room in self.may_use:
            allowed = self.may_use[room]
        else:
            yield 1, f"src/LAYERS does not name the room {room}"
            return
        for number, line in enumerate(text.splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match[1].split("/")
            if len(target) == 1 and room == "cli":
                continue  # the command's own headers
            if len(target) != 2:
                yield number, f'include "{match[1]}" by room and name: "room/name.h"'
            elif target[0] in ("mneme", room):
                continue
            elif target[0] not in allowed:
                yield number, f"{room} may not include {target[0]} (src/LAYERS)"
            elif not self.is_door(*target):
                yield number, f'"{match[1]}" is not a door of {target[0]}'


CASES = [
    ("src/low/a.c", '#include "low/low.h"\n#include "low/low_private.h"\n', None),
    ("src/high/a.c", '#include "low/low.h"\n#include "mneme/status.h"\n', None),
    ("src/high/a.c", '#include "open/any.h"\n', None),
    ("cli/main.c", '#include "cli.h"\n#include "low/low.h"\n', None),
    ("src/low/a.c", '#include "high/high.h"\n', "low may not include high"),
    ("src/low/a.h", ' # include "high/high.h"\n', "low may not include high"),
    ("src/high/a.c", '#include "low/low_private.h"\n', "not a door"),
    ("src/high/a.c", '#include "low/format.h"\n', "not a door"),
    ("src/high/a.c", '#include "open/any_private.h"\n', "not a door"),
    ("src/high/a.c", '#include "a.h"\n', "by room and name"),
    ("src/high/a.c", '#include "../low/low.h"\n', "by room and name"),
    ("src/new/a.c", "", "does not name"),
    ("include/mneme/x.h", '#include "low/low.h"\n', "include may not include low"),
    ("cli/main.c", '#include "high/high.h"\n', "cli may not include high"),
]

if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        layers = Layers("many doors: open\nlow:\nopen:\nhigh: low open\ncli: low\n")
    elif len(sys.argv) == 2:
        layers = Layers(sources.read(sys.argv[1], pathlib.PurePosixPath("src/LAYERS")))
    else:
        sys.exit(f"usage: {sys.argv[0]} ROOT | --self-test")
    sources.main(layers.problems, CASES, lambda root: [
        p for p in sources.c_files(root) if p.parts[0] in ("src", "include", "cli")])
