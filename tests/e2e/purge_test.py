#!/usr/bin/env python3
"""purge: what it prints, and that no file of the store holds what was purged."""
import os

from harness import has, main, record, same

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
