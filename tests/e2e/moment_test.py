#!/usr/bin/env python3
"""Any moment: archived logs, and restoring to an LSN or a time."""
import datetime
import pathlib
import shutil
import time

from harness import has, main, record, run, same


def _archive(place):
    path = place.folder / "archive"
    place.put([record("a", vector=[1, 2], metadata={"v": 0})])
    place.run("config", "set", "archive_dir", str(path))
    return path


def _put(place, name):
    return place.put([record(name, vector=[1, 2], metadata={"of": name})]).lines()[0]["lsn"]


def _ids(folder):
    return [line["id"] for line in run("-d", str(folder), "list", "n").lines()]


def _restore(place, *options, code=0):
    """Restores to a moment; the ids that are there then."""
    target = place.folder / "target"
    shutil.rmtree(target, ignore_errors=True)
    result = place.run("snapshot", "restore", *options, "--into", str(target), code=code)
    if code != 0:
        same(target.exists() and (target / "STORE").exists(), False)
        return result.err
    same(run("-d", str(target), "verify").code, 0)
    ids = _ids(target)
    same(result.lines()[0]["records_restored"], len(ids))
    return ids


def _now():
    time.sleep(0.01)
    text = datetime.datetime.now(datetime.timezone.utc).isoformat()
    time.sleep(0.01)
    return text


def any_lsn_comes_back(place):
    archive = _archive(place)
    first = place.run("snapshot", "create").lines()[0]
    lsns = {}
    for i, name in enumerate("bcdefgh"):
        lsns[_put(place, name)] = ["a"] + list("bcdefgh"[:i + 1])
        if i % 2 == 1:
            place.run("checkpoint")
        if i == 4:
            place.run("snapshot", "create")
    same(len(list(archive.glob("*/*.wal"))) > 2, True)
    for lsn, ids in lsns.items():
        same(_restore(place, "--at-lsn", str(lsn)), ids)
    same(_restore(place, "--at-lsn", str(first["lsn"])), ["a"])
    has(_restore(place, "--at-lsn", "1" if first["lsn"] > 1 else "0",
                 code=3 if first["lsn"] > 1 else 2), "mneme: ")
    newest = max(lsns)
    has(_restore(place, "--at-lsn", str(newest + 1), code=3), f"LSN {newest}")
    # A store that was made so is as good as any.
    target = str(place.folder / "target")
    _restore(place, "--at-lsn", str(newest))
    run("-d", target, "snapshot", "create")
    same(run("-d", target, "get", "n", "a").lines()[0]["metadata"], {"v": 0})


def any_time_comes_back(place):
    _archive(place)
    place.run("snapshot", "create")
    times = []
    for i, name in enumerate("bcd"):
        _put(place, name)
        times.append((_now(), ["a"] + list("bcd"[:i + 1])))
    place.run("checkpoint")
    for moment, ids in times:
        same(_restore(place, "--at-time", moment), ids)
    has(_restore(place, "--at-time", "2001-01-01T00:00:00Z", code=3), "no snapshot")
    _restore(place, "--at-time", "2999-01-01T00:00:00Z", code=1)


def without_the_store_the_archive_is_enough(place):
    archive = _archive(place)
    place.run("snapshot", "create")
    kept = _put(place, "b")
    place.run("checkpoint")
    lost = _put(place, "c")
    same(_restore(place, "--at-lsn", str(lost)), ["a", "b", "c"])
    shutil.rmtree(place.store)
    options = ["--from", place.store + ".snapshots", "--archive", str(archive)]
    same(_restore(place, "--at-lsn", str(kept), *options), ["a", "b"])
    has(_restore(place, "--at-lsn", str(lost), *options, code=3), f"LSN {kept}")
    shutil.rmtree(archive)
    has(_restore(place, "--at-lsn", str(kept), *options, code=1), "no directory")


def a_snapshot_brings_the_log_along(place):
    archive = _archive(place)
    place.run("snapshot", "create")
    _put(place, "b")
    kept = _put(place, "c")
    _put(place, "d")
    place.run("snapshot", "create")
    shutil.rmtree(place.store)
    same(_restore(place, "--at-lsn", str(kept), "--from", place.store + ".snapshots", "--archive",
                  str(archive)), ["a", "b", "c"])


def a_past_that_was_left_is_not_mixed_in(place):
    _archive(place)
    snapshot = place.run("snapshot", "create").lines()[0]
    kept = _put(place, "b")
    place.run("checkpoint")
    base = place.run("snapshot", "create").lines()[0]
    left = _put(place, "wrong")
    before = _now()
    place.run("snapshot", "restore", base["id"], "--replace")
    after = _now()
    same(place.run("config", "get", "archive_dir").lines()[0]["value"] != "", True)
    new = _put(place, "right")
    place.run("checkpoint")
    same(_restore(place, "--at-lsn", str(kept)), ["a", "b"])
    has(_restore(place, "--at-lsn", str(left), code=3), f"left behind by a restore to LSN {kept}")
    same(_restore(place, "--at-time", before), ["a", "b"])
    same(_restore(place, "--at-time", after), ["a", "b"])
    same(_restore(place, "--at-lsn", str(new)), ["a", "b", "right"])
    # The newer snapshot gone, the way leads from the oldest over two timelines.
    place.run("snapshot", "delete", base["id"])
    same(_restore(place, "--at-lsn", str(new)), ["a", "b", "right"])
    same(_restore(place, "--at-lsn", str(snapshot["lsn"])), ["a"])


def a_gap_is_no_way(place):
    archive = _archive(place)
    place.run("snapshot", "create")
    _put(place, "b")
    place.run("config", "set", "archive_dir", "")
    _put(place, "c")
    place.run("purge", "n", "nothing")  # which begins the log anew
    place.run("config", "set", "archive_dir", str(archive))
    later = _put(place, "d")
    place.run("checkpoint")
    has(_restore(place, "--at-lsn", str(later), code=4), "missing")
    place.run("snapshot", "create")
    last = _put(place, "e")
    same(_restore(place, "--at-lsn", str(last)), ["a", "b", "c", "d", "e"])


def a_damaged_archive_is_no_wrong_answer(place):
    archive = _archive(place)
    place.run("snapshot", "create")
    lsns = [_put(place, name) for name in "bcd"]
    place.run("checkpoint")
    _put(place, "e")
    place.run("checkpoint")
    path = sorted(archive.glob("*/*.wal"))[0]
    whole = path.read_bytes()
    path.chmod(0o600)
    end = len(whole.rstrip(b"\0"))
    for offset in range(0, end, 37):
        damaged = bytearray(whole)
        damaged[offset] ^= 0x10
        path.write_bytes(damaged)
        target = place.folder / "target"
        shutil.rmtree(target, ignore_errors=True)
        result = run("-d", place.store, "snapshot", "restore", "--at-lsn", str(lsns[-1]), "--into",
                     str(target))
        if result.code == 0:
            same(_ids(target), ["a", "b", "c", "d"])
        else:
            same(result.code in (3, 4, 6), True, result)


def usage_is_checked(place):
    _archive(place)
    place.run("snapshot", "create")
    for options in (["--at-lsn", "0"], ["--at-lsn", "x"], ["--at-lsn", "-1"], ["--at-time", "noon"],
                    ["--at-time", "2026-11-21"], ["--at-lsn", "1", "--at-time",
                                                  "2026-11-21T08:30:00Z"],
                    ["--archive", "/tmp"], ["--at-lsn", "1", "--dry-run"],
                    ["0" * 32, "--at-lsn", "1"], ["--at-lsn", "1", "--namespace", "n"], []):
        place.run("snapshot", "restore", *options, "--into", str(place.folder / "x"), code=2)
    place.run("snapshot", "restore", "--at-lsn", "1", "--replace", code=2)
    place.run("config", "set", "archive_dir", "relative", code=1)
    same((place.folder / "x").exists(), False)


def what_cannot_be_kept_stays_in_the_log(place):
    archive = place.folder / "archive"
    blocked = place.file("blocked", b"")
    place.put([record("a")])
    place.run("config", "set", "archive_dir", str(pathlib.Path(blocked) / "archive"), code=1)
    place.run("config", "set", "archive_dir", str(archive))
    place.put([record("b")])
    archive.rmdir()  # as if its disk was not mounted
    has(place.run("checkpoint", code=1).err, "no such directory")
    same(archive.exists(), False)
    place.put([record("c")])
    same(place.ids(), ["a", "b", "c"])
    logs = len(list((pathlib.Path(place.store) / "wal").glob("*.wal")))
    same(logs >= 2, True)
    archive.mkdir()
    place.run("checkpoint")
    same(len(list(archive.glob("*/*.wal"))) >= logs, True)


def a_purge_names_archived_logs(place):
    archive = _archive(place)
    place.put([record("canary-b", metadata={"note": "of canary-b"})])
    place.run("checkpoint")
    _put(place, "c")
    place.run("checkpoint")
    names = place.run("purge", "n", "canary-b").lines()[0]["archived_logs"]
    holding = [str(path.relative_to(archive)) for path in archive.glob("*/*.wal")
               if b"of canary-b" in path.read_bytes()]
    same(sorted(names), sorted(holding))
    same(len(names) > 0, True)
    for name in names:
        (archive / name).unlink()
    same(place.run("purge", "n", "canary-b").lines()[0]["archived_logs"], [])
    everything = place.run("purge", "n", "--all").lines()[0]["archived_logs"]
    same(len(everything) > 0, True)


def records_of_an_earlier_life_are_named(place):
    place.put([record("first")])
    place.run("checkpoint")
    archive = place.folder / "archive"
    place.run("config", "set", "archive_dir", str(archive))
    place.put([record("x", metadata={"note": "an earlier life"})])
    place.put([record("x", metadata={"note": "of another"})], name="other")
    place.run("checkpoint")
    place.run("drop", "n")
    place.put([record("y")])
    for what in (["x"], ["--all"]):
        names = place.run("purge", "n", *what).lines()[0]["archived_logs"]
        holding = [str(path.relative_to(archive)) for path in archive.glob("*/*.wal")
                   if b"earlier life" in path.read_bytes()]
        same(set(holding) <= set(names) and len(holding) > 0, True, (holding, names))


def a_copy_of_the_store_is_refused(place):
    archive = _archive(place)
    place.run("snapshot", "create")
    copy = place.folder / "copy"
    shutil.copytree(place.store, copy)
    mine = _put(place, "mine")
    place.run("checkpoint")
    run("-d", str(copy), "put", "n", given=[record("other")])
    result = run("-d", str(copy), "checkpoint")
    same(result.code, 1)
    has(result.err, "copy of this store")
    same(_restore(place, "--at-lsn", str(mine)), ["a", "mine"])
    same(len(list(archive.glob("*/keeping"))), 0)


def a_damaged_store_takes_nothing_from_the_archive(place):
    archive = _archive(place)
    place.run("snapshot", "create")
    kept = _put(place, "b")
    base = place.run("snapshot", "create").lines()[0]
    last = _put(place, "c")
    wal = sorted((pathlib.Path(place.store) / "wal").glob("*.wal"))[-1]
    manifests = list(pathlib.Path(place.store).glob("MANIFEST-*"))
    place.run("checkpoint")
    newer = _put(place, "d")
    for path in manifests:
        same(path.exists(), False)
    # Without a manifest to read, the log is kept all the same.
    for path in pathlib.Path(place.store).glob("MANIFEST-*"):
        path.write_bytes(b"x" * 8192)
    same(_restore(place, "--at-lsn", str(newer)), ["a", "b", "c", "d"])
    place.run("snapshot", "restore", base["id"], "--replace")
    same(_restore(place, "--at-lsn", str(kept)), ["a", "b"])
    has(_restore(place, "--at-lsn", str(newer), code=3), "left behind")
    # Nor does a damaged log take the place of what was kept of it.
    place.run("snapshot", "delete", base["id"])
    wal = sorted((pathlib.Path(place.store) / "wal").glob("*.wal"))[-1]
    same(last < newer and wal.exists(), True)
    for path in (pathlib.Path(place.store) / "wal").glob("*.wal"):
        path.unlink()
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    has(_restore(place, "--at-time", now, code=4), "missing")


if __name__ == "__main__":
    main()
