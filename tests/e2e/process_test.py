#!/usr/bin/env python3
"""The command as a process: signals, pipes, terminals, the store's directory, two at once."""
import errno
import json
import os
import pty
import resource
import signal
import subprocess
import time

from harness import MNEME, environment, has, main, record, run, same


def _say(process, *lines):
    process.stdin.write("".join(line + "\n" for line in lines).encode())
    process.stdin.flush()


def _end(process):
    out, err = process.communicate()
    return process.returncode, out, err.decode()


def ctrl_c_while_waiting_stops_with_130_and_stores_no_half_batch(place):
    for number in (signal.SIGINT, signal.SIGTERM):
        name = f"n{number}"
        put = place.start("put", name, "--batch", "2")
        _say(put, record("a"), record("b"))
        same(json.loads(put.stdout.readline())["count"], 2)
        _say(put, record("half"))
        time.sleep(0.05)
        put.send_signal(number)
        code, out, err = _end(put)
        same((code, out), (130, b""))
        has(err, "stopped")
        same(place.ids(name=name), ["a", "b"])


def ctrl_c_before_the_first_batch_stores_nothing(place):
    put = place.start("put", "n")
    _say(put, record("a"))
    while not os.path.exists(place.store):
        time.sleep(0.01)
    time.sleep(0.1)
    put.send_signal(signal.SIGINT)
    code, out, _ = _end(put)
    same((code, out), (130, b""))
    place.run("exists", "n", code=3)


def ctrl_c_in_the_middle_of_an_import_leaves_whole_batches(place):
    rows = place.file("rows.jsonl", "".join(record(f"r{i:06}") + "\n" for i in range(60000)))
    # Without a buffer: what is read ahead of the first line would be lost to communicate.
    process = place.start("import", "n", "--rows", rows, "--batch", "10", bufsize=0)
    acknowledged = json.loads(process.stdout.readline())["count"]
    process.send_signal(signal.SIGINT)
    code, out, err = _end(process)
    acknowledged += sum(json.loads(line)["count"] for line in out.splitlines())
    same(code, 130)
    has(err, "stopped")
    same(place.run("count", "n").lines(), [{"count": acknowledged}])
    same(acknowledged % 10, 0)
    same(acknowledged < 60000, True)


def every_acknowledgement_is_told_at_once_also_to_a_file(place):
    acks = place.folder / "acks"
    with open(acks, "wb") as file:
        put = place.start("put", "n", "--batch", "1", stdout=file)
        for i in range(3):
            _say(put, record(f"r{i}"))
            while len(acks.read_bytes().splitlines()) <= i:
                time.sleep(0.005)
        put.communicate()
    same(put.returncode, 0)


def a_closed_pipe_ends_a_reading_command_quietly(place):
    place.put([record(f"r{i}", vector=[i] * 32) for i in range(5000)])
    for command in (("export", "n"), ("list", "n"), ("wal", "dump")):
        process = place.start(*command)
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.stdin.close()
        same((process.wait(), err), (0, b""), command)


def a_closed_pipe_ends_put_quietly_after_the_batch_nobody_heard_of(place):
    put = place.start("put", "n", "--batch", "1")
    _say(put, record("a"))
    put.stdout.readline()
    put.stdout.close()
    for i in range(1000):
        try:
            _say(put, record(f"b{i:04}"))
        except BrokenPipeError:
            break
        time.sleep(0.002)
    try:
        put.stdin.close()
    except BrokenPipeError:
        pass
    same((put.wait(), put.stderr.read()), (1, b""))
    same(place.ids(), ["a", "b0000"])


def a_full_disk_below_stdout_is_an_error(place):
    place.put([record("a")])
    with open("/dev/full", "wb") as full:
        done = subprocess.run([MNEME, "-d", place.store, "count", "n"], stdout=full,
                              stderr=subprocess.PIPE, env=environment())
    same(done.returncode, 1)
    has(done.stderr.decode(), "mneme: cannot write to standard output: ")


def a_limit_on_the_size_of_files_is_an_error(place):
    place.put([record("a")])

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100 << 10, 100 << 10))
    for store in (place.store, str(place.folder / "other")):
        done = subprocess.run([MNEME, "-d", store, "put", "n", "--batch", "10"],
                              input=b"".join(record(f"r{i}", vector=[i] * 512).encode() + b"\n"
                                             for i in range(100)),
                              capture_output=True, env=environment(), preexec_fn=limit)
        same(done.returncode, 1, done.stderr)
        has(done.stderr.decode(), f"mneme: {store}: ")
        has(done.stderr.decode(), "File too large")
    same(place.ids()[0], "a")


def closed_standard_streams_never_reach_the_store(place):
    place.put([record("a")])
    done = subprocess.run(["sh", "-c", '"$0" -d "$1" put n <&- >&- 2>&-', MNEME, place.store],
                          env=environment())
    same(done.returncode, 1)
    done = subprocess.run(["sh", "-c", '"$0" -d "$1" count n >&-', MNEME, place.store],
                          env=environment(), capture_output=True)
    same(done.returncode, 1)
    same(place.run("verify").lines()[0]["damaged"], False)
    same(place.ids(), ["a"])


def the_directory_comes_from_the_option_or_the_environment(place):
    one, two = str(place.folder / "one"), str(place.folder / "two")
    given = record("a") + "\n"
    same(run("put", "n", given=given, env=environment(MNEME_DIR=one)).code, 0)
    same(run("-d", two, "put", "m", given=given, env=environment(MNEME_DIR=one)).code, 0)
    same(run("-d", one, "exists", "n").code, 0)
    same(run("-d", one, "exists", "m").code, 3)
    same(run("-d", two, "exists", "m").code, 0)
    same(run(f"-d{two}", "exists", "m").code, 0)
    same(run("exists", "m", "-d", two).code, 0)
    for env in (environment(), environment(MNEME_DIR="")):
        result = run("count", "n", env=env)
        same((result.code, result.out), (2, b""))
        has(result.err, "MNEME_DIR")
    same(run("-d", "", "count", "n").code, 2)


def beside_a_writer_everything_is_refused_with_5(place):
    put = place.start("put", "n", "--batch", "1")
    _say(put, record("a"))
    put.stdout.readline()
    for command in (("count", "n"), ("get", "n", "a"), ("export", "n"), ("stats",), ("verify",),
                    ("namespaces",), ("wal", "stats"), ("wal", "dump"), ("config", "list"),
                    ("put", "n"), ("create", "m"), ("delete", "n", "a"), ("flush",),
                    ("checkpoint",)):
        result = place.run(*command, given=record("b") + "\n", code=5)
        same(result.out, b"", command)
        has(result.err, "mneme: ")
    _say(put, record("c"))
    same(_end(put)[0], 0)
    same(place.ids(), ["a", "c"])


def readers_do_not_refuse_each_other(place):
    place.put([record(f"r{i}", vector=[i] * 64) for i in range(5000)])
    export = place.start("export", "n")
    export.stdout.readline()
    same(place.run("count", "n").lines(), [{"count": 5000}])
    place.put([record("x")], code=5)
    same(_end(export)[0], 0)


def _terminal(command, env):
    """What shows on a terminal that is the command's stderr."""
    master, slave = pty.openpty()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=slave, env=env)
    os.close(slave)
    seen = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError as error:
            same(error.errno, errno.EIO)
            break
        if not piece:
            break
        seen += piece
    process.wait()
    os.close(master)
    return seen


def colour_is_for_terminals_and_no_color_turns_it_off(place):
    command = [MNEME, "-d", place.store, "count", "n"]
    same(b"\x1b[" in _terminal(command, environment()), True)
    same(b"\x1b[" in _terminal(command, environment(NO_COLOR="1")), False)
    same(b"\x1b[" in _terminal(command, environment(TERM="dumb")), False)
    same("\x1b[" in place.run("count", "n", code=3).err, False)


def export_and_verify_show_progress_on_a_terminal(place):
    place.put([record(f"r{i}") for i in range(100)])
    has(_terminal([MNEME, "-d", place.store, "export", "n"], environment()).decode(), "export: ")
    has(_terminal([MNEME, "-d", place.store, "verify"], environment()).decode(), "verify: ")
    has(_terminal([MNEME, "-d", place.store, "checkpoint"], environment()).decode(),
        "checkpoint: writing segments")
    has(_terminal([MNEME, "-d", place.store, "verify"], environment()).decode(),
        "verify: KiB of segments")
    same(place.run("export", "n").err, "")
    same(place.run("verify").err, "")
    same(place.run("checkpoint").err, "")


def ctrl_c_ends_a_reading_command_at_once(place):
    place.put([record(f"r{i}", vector=[i] * 64) for i in range(20000)], "--batch", "5000")
    export = place.start("export", "n")
    export.stdout.readline()
    export.send_signal(signal.SIGINT)
    _, err = export.communicate()
    same((export.returncode, err), (130, b"mneme: stopped\n"))


def a_salvage_that_is_stopped_says_that_its_target_is_incomplete(place):
    place.put([record(f"r{i}", vector=[i] * 256) for i in range(20000)], "--batch", "5000")
    target = str(place.folder / "target")
    salvage = place.start("salvage", place.store, target)
    while not os.path.exists(target) and salvage.poll() is None:
        continue
    salvage.send_signal(signal.SIGINT)
    _, err = salvage.communicate()
    same((salvage.returncode, err),
         (130, f"mneme: stopped; {target} is incomplete\n".encode()))


if __name__ == "__main__":
    main()
