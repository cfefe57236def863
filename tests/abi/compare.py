#!/usr/bin/env python3
"""The exported functions are exactly those of tests/abi/symbols.txt, and so are the declared ones.

usage: compare.py headers SYMBOLS HEADER...
       compare.py library SYMBOLS LIBRARY
       compare.py --self-test
"""
import pathlib
import re
import subprocess
import sys

COMMENT = re.compile(r"/\*.*?\*/", re.S)
DECLARED = re.compile(r"^MN_API\b[^;{]*?\b(\w+)\s*\(", re.M)


def declared_in(text):
    """Names that a header's text declares as MN_API."""
    return set(DECLARED.findall(COMMENT.sub("", text)))


def exported_from(nm_output):
    """Names in the output of `nm -D --defined-only`."""
    return {line.split()[-1].split("@")[0] for line in nm_output.splitlines() if line.strip()}


def differences(expected, actual, where):
    for name in sorted(expected - actual):
        yield f"{name} stands in symbols.txt and not in {where}"
    for name in sorted(actual - expected):
        yield f"{name} is in {where} and does not stand in symbols.txt"


def self_test():
    header = "/* MN_API int mn_no(void); */\nMN_API MN_MUST_USE mn_status mn_a(int x,\n int y);\n" \
             "MN_API void mn_b(void);\nstatic inline int mn_c(void)\n{\n}\n"
    nm = "0000000000001139 T mn_a\n0000000000001140 D mn_d\n"
    assert declared_in(header) == {"mn_a", "mn_b"}, declared_in(header)
    assert exported_from(nm) == {"mn_a", "mn_d"}
    assert len(list(differences({"mn_a", "mn_b"}, {"mn_a", "mn_d"}, "x"))) == 2
    assert not list(differences({"mn_a"}, {"mn_a"}, "x"))
    print("self-test: fine")


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    if len(sys.argv) < 4 or sys.argv[1] not in ("headers", "library"):
        sys.exit(__doc__)
    expected = set(pathlib.Path(sys.argv[2]).read_text().split())
    if not expected:
        sys.exit(f"{sys.argv[2]} is empty")
    if sys.argv[1] == "headers":
        actual = set().union(*(declared_in(pathlib.Path(p).read_text()) for p in sys.argv[3:]))
    else:
        actual = exported_from(subprocess.run(["nm", "-D", "--defined-only", sys.argv[3]],
                                              check=True, capture_output=True, text=True).stdout)
    found = list(differences(expected, actual, "the " + sys.argv[1]))
    for line in found:
        print(line)
    print(f"{len(expected)} symbols, {len(found)} differences")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
