#!/usr/bin/env python3
"""The command line: help, usage errors, completion."""
import pathlib
import re
import shutil
import subprocess

from harness import MNEME, environment, has, main, run, same

COMMANDS = ["create", "drop", "namespaces", "exists", "dimension", "count", "put", "import",
            "search", "export", "get", "delete", "purge", "list", "temporal create",
            "temporal drop", "temporal spaces", "temporal entities", "temporal put",
            "temporal get", "temporal asof", "temporal next", "temporal latest", "temporal range",
            "temporal timeline", "temporal delete", "temporal drift", "temporal changes",
            "cache put", "cache get", "cache lookup", "cache exists", "cache list",
            "cache tenants", "cache delete", "cache drop", "cache invalidate", "cache cleanup",
            "cache budget", "cache stats",
            "checkpoint", "flush", "stats", "verify", "salvage", "config get", "config set",
            "config list", "wal stats", "wal dump",
            "snapshot create", "snapshot list", "snapshot show", "snapshot exists",
            "snapshot verify", "snapshot delete", "snapshot prune", "snapshot restore",
            "completion"]
NEEDS_NO_STORE = ["salvage", "completion"]
LATER = ["tier"]


def _ok(*args):
    result = run(*args)
    same((result.code, result.err), (0, ""), args)
    return result.out.decode()


def help_is_everywhere_and_has_an_example(place):
    overview = _ok("--help")
    has(overview, "Example")
    same(_ok("-h"), overview)
    for command in COMMANDS:
        has(overview, f"  {command} ")
        text = _ok(*command.split(), "--help")
        has(text, "usage: mneme ")
        has(text, command)
        has(text, "\nExample:\n  ")
        has(text.partition("Example:")[2], f"mneme{' -d memory' * (command not in NEEDS_NO_STORE)}")
        same(_ok("--help", *command.split()), text)
    for group in ("wal", "config", "snapshot", "temporal", "cache"):
        has(_ok(group, "--help"), "Example")


def help_names_every_option_that_the_command_takes(place):
    for command in COMMANDS:
        text = _ok(*command.split(), "--help")
        usage = text.partition("\n\n")[0]
        for option in re.findall(r"--[a-z-]+", usage):
            has(text.partition("\n\n")[2], option)
    same("--batch" in _ok("put", "--help"), True)


def lines_of_help_fit_a_terminal(place):
    for command in [[]] + [c.split() for c in COMMANDS]:
        for line in _ok(*command, "--help").splitlines():
            same(len(line) <= 100, True, line)


def version_is_printed(place):
    same(re.fullmatch(r"mneme \d+\.\d+\.\d+\n", _ok("--version")) is not None, True)


def commands_of_later_parts_are_unknown(place):
    for command in LATER + ["", "Put", "puts", "wal stats", "help"]:
        result = place.run(command, code=2)
        has(result.err, "unknown command")
    place.run("wal", "drop", code=2)
    place.run("temporal", "plot", code=2)


def usage_errors_exit_2_and_say_what(place):
    for args, part in [
        ((), "which command"), (("wal",), "not complete"), (("config",), "not complete"),
        (("put",), "NS is missing"), (("put", "a", "b"), '"b"'), (("get", "n"), "ID is missing"),
        (("put", "n", "--bath", "2"), "--bath"), (("put", "n", "--batch"), "needs a value"),
        (("put", "n", "--batch", "0"), "--batch"), (("put", "n", "--batch", "4194305"), "--batch"),
        (("put", "n", "--batch", "2x"), "--batch"), (("put", "n", "--batch=-2"), "--batch"),
        (("put", "n", "--table"), "--table"), (("list", "n", "--table=yes"), "takes no value"),
        (("put", "n", "-x"), "-x"), (("--batch", "1", "put", "n"), "--batch"),
        (("count", "n", "--recovery", "hope"), "tail, strict"),
        (("exists", "a", "b", "c"), '"c"'), (("namespaces", "x"), '"x"'),
        (("completion",), "bash|zsh|fish is missing"),
        (("snapshot",), "not complete"), (("snapshot", "show"), "ID is missing"),
        (("snapshot", "prune"), "--keep"), (("snapshot", "prune", "--keep", "0"), "--keep"),
        (("snapshot", "restore", "x"), "--into"), (("snapshot", "restore", "x", "--into", "y",
                                                    "--replace"), "--into"),
        (("snapshot", "create", "--compress"), "--to"),
        (("snapshot", "create", "--without-metadata"), "--to"),
        (("snapshot", "create", "--incremental", "--parent", "x"), "exclude"),
        (("--snapshot", "x", "put", "n"), "snapshot"), (("--snapshot", "x", "verify"), "snapshot"),
        (("config", "set", "a"), "VALUE is missing"), (("completion", "csh"), "csh"),
    ]:
        result = place.run(*args, code=2)
        same(result.out, b"", args)
        has(result.err, part)
        has(result.err, "mneme: ")
        has(result.err, "usage: ")


def two_dashes_end_the_options(place):
    same(place.run("--", "create", "--", "--help").out, b'{"created":true}\n')
    same(place.run("--", "namespaces").lines()[0]["namespace"], "--help")
    place.run("exists", "--", "-d", code=3)


def options_may_stand_anywhere_after_the_command(place):
    for args in (("create", "--dimension", "3", "a"), ("create", "b", "--dimension=3"),
                 ("create", "--recovery", "strict", "--dimension", "3", "c")):
        same(place.run(*args).out, b'{"created":true}\n')
        same(place.run("dimension", args[1] if args[1] in "ab" else args[-1]).out,
             b'{"dimension":3}\n')


def completion_scripts_are_those_that_are_installed(place):
    folder = pathlib.Path(__file__).resolve().parents[2] / "cli" / "completions"
    for shell, name in (("bash", "mneme.bash"), ("zsh", "_mneme"), ("fish", "mneme.fish")):
        script = _ok("completion", shell)
        same(script, (folder / name).read_text(encoding="ascii"))
        checker = shutil.which(shell)
        if checker is not None:
            done = subprocess.run([checker, "-n", str(folder / name)], capture_output=True)
            same((done.returncode, done.stderr), (0, b""), shell)


def completion_knows_every_command_and_option(place):
    for shell in ("bash", "zsh", "fish"):
        script = _ok("completion", shell)
        for command in COMMANDS:
            for word in command.split():
                same(re.search(rf"\b{word}\b", script) is not None, True, (shell, word))
            usage = _ok(*command.split(), "--help").partition("\n\n")[0]
            for option in re.findall(r"--([a-z-]+)", usage):
                pattern = rf"-l {option}\b" if shell == "fish" else rf"--{option}\b"
                same(re.search(pattern, script) is not None, True, (shell, option))


def _complete(*words):
    """What bash offers for the last of the words."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mneme; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    folder = pathlib.Path(__file__).resolve().parents[2] / "cli" / "completions"
    done = subprocess.run(["bash", "-c", script, "bash", str(folder / "mneme.bash"), *words],
                          capture_output=True, env=environment(), text=True)
    same(done.stderr, "")
    return done.stdout.split()


def bash_completes_commands_options_and_values(place):
    same(_complete("mneme", "ex"), ["exists", "export"])
    same(_complete("mneme", "-d", "x", "nam"), ["namespaces"])
    same(_complete("mneme", "wal", ""), ["stats", "dump"])
    same(_complete("mneme", "temporal", "dr"), ["drop", "drift"])
    same(_complete("mneme", "temporal", "range", "7", "42", "--d"), ["--descending"])
    same(_complete("mneme", "temporal", "range", "7", "42", "--from", ""), [])
    same(_complete("mneme", "temporal", "get", "7", "42", "--vectors", "n"), ["none"])
    same(_complete("mneme", "config", "s"), ["set"])
    same(_complete("mneme", "config", "get", "sync_"), ["sync_every_commits", "sync_interval_ms"])
    same(_complete("mneme", "config", "get", "sync", ""), [])
    same(_complete("mneme", "config", "set", "sync", "ev"), ["every_write", "every_n", "every_ms"])
    same(_complete("mneme", "put", "n", "--b"), ["--batch"])
    same(_complete("mneme", "wal", "dump", "--f"), ["--from"])
    same(_complete("mneme", "put", "n", "--ack", ""), ["none", "os", "disk"])
    same(_complete("mneme", "get", "n", "--vectors", "b"), ["base64"])
    same(_complete("mneme", "export", "n", "--vectors-"), ["--vectors-file"])
    same(_complete("mneme", "--recovery", ""), ["tail", "strict"])
    same(_complete("mneme", "completion", ""), ["bash", "zsh", "fish"])
    same(_complete("mneme", "create", "n", "--"), ["--recovery", "--snapshot", "--help",
                                                  "--version", "--dimension"])
    same(_complete("mneme", "se"), ["search"])
    same(_complete("mneme", "search", "n", "--vector"), ["--vector", "--vector-file", "--vectors"])
    same(_complete("mneme", "search", "n", "--metric", ""), ["cosine", "dot", "l2"])
    same(_complete("mneme", "search", "n", "--vectors", ""), ["json", "base64", "none"])
    same(_complete("mneme", "cache", "cl"), ["cleanup"])
    same(_complete("mneme", "cache", "get", "7", "--e"), ["--embedding"])
    same(_complete("mneme", "cache", "put", "7", "--ack", "d"), ["disk"])
    same(_complete("mneme", "snapshot", "e"), ["exists"])
    same(_complete("mneme", "snapshot", "restore", "x", "--in"), ["--into"])


def completion_knows_every_setting(place):
    place.run("create", "n")
    keys = [line["key"] for line in place.run("config", "list").lines()]
    same(_complete("mneme", "config", "set", ""), keys)
    for shell in ("zsh", "fish"):
        for key in keys:
            same(re.search(rf"\b{key}\b", _ok("completion", shell)) is not None, True, key)


def the_command_is_the_one_under_test(place):
    same(pathlib.Path(MNEME).exists(), True)


if __name__ == "__main__":
    main()
