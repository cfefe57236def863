#!/usr/bin/env python3
"""purge: what it prints, and that no file of the store holds what was purged."""
import os
import signal
import subprocess
import time

from harness import MNEME, environment, has, main, record, same

CANARY = "canary-of-the-purge"


def _put_canary(place, namespace="n"):
    canary = record(CANARY, vector=[1, 2], metadata={"k": CANARY + "-metadata"})
    place.put([canary, record("other")], name=namespace)


def _files_with(place, text):
    found = []
    for directory, _, names in os.walk(place.store):
        for name in names:
            with open(os.path.join(directory, name), "rb") as file:
                if text.encode() in file.read():
                    found.append(name)
    return found


def purge_leaves_no_byte(place):
    _put_canary(place)
    place.run("checkpoint")
    _put_canary(place)
    assert len(_files_with(place, CANARY)) >= 2
    receipt = place.run("purge", "n", CANARY).lines()[0]
    same(receipt["purged"], 1)
    same(receipt["files_pending"], 0)
    for key in ("lsn", "log_files_removed", "runs_rewritten"):
        assert receipt[key] >= 1, key
    same(_files_with(place, CANARY), [])
    same(place.ids(), ["other"])
    same(place.run("verify").lines()[0]["damaged"], False)


def ctrl_c_ends_a_purge_at_once_and_it_can_be_done_again(place):
    for seconds in (0.0, 0.02, 0.05, 0.1):
        _put_canary(place)
        place.put([record(f"{i}", vector=[i, i], metadata={"k": "." * 1000}) for i in range(3000)])
        place.run("checkpoint")
        process = subprocess.Popen([MNEME, "-d", place.store, "purge", "n", CANARY],
                                   env=environment(), stdout=subprocess.PIPE)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        process.communicate()
        same(process.returncode in (0, 130, -signal.SIGINT), True, process.returncode)
        same(place.run("verify").lines()[0]["damaged"], False)
        place.run("purge", "n", CANARY)
        same(_files_with(place, CANARY), [])
        same(len(place.ids()), 3001)


def a_dump_says_where_the_log_begins(place):
    _put_canary(place)
    place.run("purge", "n", CANARY)
    place.put([record("later", vector=[1, 2])])
    dump = place.run("wal", "dump", "--from", "1")
    first = dump.lines()[0]["lsn"]
    assert f"the log begins at LSN {first}" in dump.err, dump
    same(place.run("wal", "dump", "--from", str(first)).err, "")
    same(place.run("wal", "dump").err, "")


def what_is_not_there_is_no_error(place):
    _put_canary(place)
    place.run("delete", "n", CANARY)
    same(place.run("purge", "n", CANARY, "never").lines()[0]["purged"], 0)
    same(_files_with(place, CANARY), [])
    has(place.run("purge", "m", "x", code=3).err, 'no namespace "m"')


def a_whole_namespace_goes_with_its_name(place):
    _put_canary(place)
    _put_canary(place, CANARY + "-space")
    place.run("checkpoint")
    same(place.run("purge", CANARY + "-space", "--all").lines()[0]["purged"], 2)
    same(_files_with(place, CANARY + "-space"), [])
    place.run("count", CANARY + "-space", code=3)
    same(place.ids(), sorted([CANARY, "other"]))


def ids_or_all(place):
    _put_canary(place)
    place.run("purge", "n", code=2)
    place.run("purge", "n", "a", "--all", code=2)
    same(len(place.ids()), 2)


if __name__ == "__main__":
    main()
