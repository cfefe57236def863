#!/usr/bin/env python3
"""Only io/ talks to the operating system, only base/mem.c allocates, nobody prints or exits.

Each library that Mneme uses is included in one room.
"""
import re

import sources

SYSTEM = re.compile(r"^\s*#\s*include\s*<((?:sys|linux|asm)/.*|fcntl\.h|unistd\.h|dirent\.h|poll\.h"
                    r"|pthread\.h|threads\.h|signal\.h|time\.h|aio\.h)>")
LIBRARY = re.compile(r"^\s*#\s*include\s*<(isa-l|xxhash|cmocka|curl|rocksdb|openssl|zstd|lz4)")
ROOMS_OF_LIBRARY = {"isa-l": {"base"}, "xxhash": {"base"}, "zstd": {"snapshot"},
                    "curl": {"object"}, "openssl": {"object", "semcache"},
                    "rocksdb": {"diskcache"}}

# (calls, files that may make them, why)
CALLS = [
    (re.compile(r"\b(malloc|calloc|realloc|aligned_alloc|posix_memalign|strdup|strndup|free)\s*\("),
     ("src/base/mem.c", "src/io/crash", "src/io/fault", "src/io/record"),
     "allocates past base/mem.h, where tests cannot fail it"),
    (re.compile(r"\b(v?f?printf|puts|putchar|fputs|fputc|fwrite|perror|syslog)\s*\("),
     ("src/base/check.c",), "prints; the library never does"),
    (re.compile(r"\b(exit|_exit|_Exit|quick_exit|abort|raise|assert)\s*\("),
     ("src/base/check.c",), "ends the process; use MNI_CHECK for bugs and a status for the rest"),
    (re.compile(r"\b(fopen|fdopen|open|openat|creat|remove|getenv|rand|random|time|system|sleep"
                r"|usleep|nanosleep|clock_gettime|gettimeofday)\s*\("),
     ("src/io/", "src/base/plant.c", "src/kernel/choose.c"), "reaches the world past io/env.h"),
]
COMMENT_OR_STRING = re.compile(
    r"""/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'""", re.S)


def blank(match):
    """Replaces a comment or string by nothing but its line ends, so that lines keep numbers."""
    return '""' + "\n" * match[0].count("\n")


def problems(path, text):
    room = path.parts[1]
    for number, line in enumerate(text.splitlines(), 1):
        header = SYSTEM.match(line)
        if header and room != "io":
            yield number, f"only io/ includes <{header[1]}>"
        library = LIBRARY.match(line)
        if library and room not in ROOMS_OF_LIBRARY.get(library[1], ()):
            yield number, f"{room} may not use the library {library[1]}"
    for number, line in enumerate(COMMENT_OR_STRING.sub(blank, text).splitlines(), 1):
        for calls, allowed, why in CALLS:
            # `->open(` and `.open(` are operations of ours, not system calls
            found = [m for m in calls.finditer(line) if line[:m.start()][-1:] not in ".>*" or
                     m.start() == 0]
            if found and not str(path).startswith(allowed):
                yield number, f"{found[0][1]}() {why}"


CASES = [
    ("src/io/posix.c", "#include <fcntl.h>\nint fd = openat(d, n, 0);\n", None),
    ("src/wal/a.c", "#include <string.h>\n/* malloc(1) */\nx = dir->ops->open(dir);\n", None),
    ("src/wal/a.c", 'mni_free(p);\nn = snprintf(b, 1, "printf(x)");\n', None),
    ("src/base/crc32c.c", "#include <isa-l/crc.h>\n", None),
    ("src/wal/a.c", "#include <sys/stat.h>\n", "only io/"),
    ("src/wal/a.c", "#include <unistd.h>\n", "only io/"),
    ("src/wal/a.c", "#include <isa-l/crc.h>\n", "may not use the library isa-l"),
    ("src/json/a.c", "if (c == '\"') /* free(x) \" */ y = '\"';\n", None),
    ("src/wal/a.c", "p = malloc(3);\n", "malloc() allocates"),
    ("src/json/a.c", "if (c == '\"') free(x);\n", "free() allocates"),
    ("src/wal/a.c", "    free (p);\n", "free() allocates"),
    ("src/io/posix.c", "p = malloc(3);\n", "malloc() allocates"),
    ("src/wal/a.c", 'fprintf(stderr, "x");\n', "fprintf() prints"),
    ("src/wal/a.c", "abort();\n", "abort() ends the process"),
    ("src/wal/a.c", 'fd = open("x", 0);\n', "open() reaches the world"),
]

if __name__ == "__main__":
    sources.main(problems, CASES, lambda root: [
        p for p in sources.c_files(root) if p.parts[0] == "src"])
