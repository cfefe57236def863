#!/usr/bin/env python3
"""Writes the completion scripts as a C header, so that the command can print them.

usage: embed.py SHELL=FILE... > completion_scripts.h
"""
import sys


def literal(line):
    escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    return f'    "{escaped}",'


def main():
    scripts = [argument.partition("=") for argument in sys.argv[1:]]
    for shell, _, path in scripts:
        print(f"static const char *const {shell}_lines[] = {{")
        with open(path, encoding="ascii") as file:
            for line in file.read().splitlines():
                print(literal(line))
        print("    NULL,\n};")
    print("static const struct {\n    const char *shell;\n    const char *const *lines;\n"
          "} completion_scripts[] = {")
    for shell, _, _ in scripts:
        print(f'    {{"{shell}", {shell}_lines}},')
    print("};")


if __name__ == "__main__":
    main()
