#!/usr/bin/env python3
"""The commands of README.md that compile its program do so, against what would be installed.

usage: embedding.py ROOT LIBRARY PC_FILE

LIBRARY is the shared library; the static one lies beside it.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile


def main():
    root, library, pc_file = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    readme = (root / "README.md").read_text()
    program = next(text for text in re.findall(r"^```c\n(.*?)^```", readme, re.S | re.M)
                   if "int main" in text)
    commands = re.findall(r"`(cc program\.c [^`\n]*)`", readme)
    commands += [text for text in re.findall(r"^```sh\n(.*?)^```", readme, re.S | re.M)
                 if text.startswith("cc program.c")]
    assert len(commands) == 2, commands
    for command in commands:
        is_static = "-Bstatic" in command
        with tempfile.TemporaryDirectory() as place:
            pc = pc_file.read_text()
            for name, value in (("includedir", root / "include"), ("libdir", library.parent)):
                pc, n = re.subn(f"^{name}=.*$", f"{name}={value}", pc, flags=re.M)
                assert n == 1, pc
            pathlib.Path(place, "mneme.pc").write_text(pc)
            pathlib.Path(place, "program.c").write_text(program)
            environment = dict(os.environ, PKG_CONFIG_PATH=place)
            if not is_static:
                environment["LD_LIBRARY_PATH"] = str(library.parent)
            subprocess.run(["sh", "-euc", command], cwd=place, env=environment, check=True)
            needed = subprocess.run(["readelf", "-d", "a.out"], cwd=place, check=True,
                                    capture_output=True, text=True).stdout
            assert ("libmneme" in needed) != is_static, needed
            if is_static:  # what the text says of it
                assert "librocksdb" not in needed and "libcurl" not in needed, needed
            subprocess.run(["./a.out"], cwd=place, env=environment, check=True)


if __name__ == "__main__":
    main()
