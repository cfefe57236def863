#!/usr/bin/env python3
"""Snapshots: created, listed, verified, removed, read in place, exported, restored."""
import base64
import os
import pathlib
import re
import shutil
import signal
import time

from harness import has, main, record, run, same

ID = re.compile(r"^[0-9a-f]{32}$")
KEYS = ["id", "type", "parent_id", "created_at", "description", "lsn", "lsn_time", "records",
        "namespaces", "files", "bytes", "own_bytes", "shared_bytes", "stored_bytes", "compressed",
        "without_metadata", "format_version", "digest", "store_id"]
CANARY = b"CANARY-"


def _create(place, *options):
    return place.run("snapshot", "create", *options).lines()[0]


def _some(place, *ids, name="n"):
    place.put([record(i, vector=[1, 2], metadata={"of": i}) for i in ids], name=name)


def _pool(place):
    return pathlib.Path(place.store + ".snapshots")


def a_snapshot_says_what_it_holds(place):
    _some(place, "a", "b")
    place.run("create", "empty", "--dimension", "7")
    place.put([record("gone", ttl_seconds=0), record("later", ttl_seconds=1000)], name="m")
    first = _create(place, "--description", "before lunch")
    same(list(first), KEYS)
    same(ID.match(first["id"]) is not None, True)
    same((first["type"], first["parent_id"], first["description"]), ("full", None, "before lunch"))
    same(first["records"], 3)
    same(first["namespaces"], [{"namespace": "empty", "dimension": 7, "count": 0},
                               {"namespace": "m", "dimension": None, "count": 1},
                               {"namespace": "n", "dimension": 2, "count": 2}])
    same(first["lsn"], place.run("stats").lines()[0]["current_lsn"])
    for key in ("created_at", "lsn_time"):
        same(re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", first[key]) is not None, True)
    same(place.run("snapshot", "show", first["id"]).lines(), [first])
    _some(place, "c")
    second = _create(place, "--incremental")
    same((second["type"], second["parent_id"]), ("incremental", first["id"]))
    same(second["own_bytes"] + second["shared_bytes"], second["bytes"])
    same(second["own_bytes"] < second["bytes"], True)
    same(place.run("snapshot", "list").lines(), [second, first])
    table = place.run("snapshot", "list", "--table").out.decode().splitlines()
    same([line.split()[0] for line in table[1:]], [second["id"], first["id"]])
    third = _create(place, "--parent", first["id"])
    same(third["parent_id"], first["id"])


def what_is_not_there_is_not_found(place):
    missing = "00000000000000010000000000000000"
    place.run("snapshot", "list", code=3)
    _some(place, "a")
    same(place.run("snapshot", "list").lines(), [])
    place.run("snapshot", "create", "--incremental", code=3)
    for command in ("show", "verify", "delete"):
        has(place.run("snapshot", command, missing, code=3).err, missing)
    same(place.run("snapshot", "exists", missing, code=3).lines(), [{"exists": False}])
    place.run("snapshot", "restore", missing, "--into", str(place.folder / "x"), code=3)
    same((place.folder / "x").exists(), False)
    place.run("snapshot", "create", "--parent", missing, code=3)
    same(place.run("snapshot", "prune", "--keep", "1").lines(), [{"deleted": 0, "freed_bytes": 0}])
    nowhere = str(place.folder / "none" / "pool")
    for parent in ([], ["--parent", missing]):
        has(place.run("snapshot", "create", "--to", nowhere, *parent, code=1).err, nowhere)
    place.run("snapshot", "list", "--from", str(place.folder / "none"), code=3)
    place.run("--snapshot", missing, "count", "n", code=3)


def ids_never_become_paths(place):
    _some(place, "a")
    _create(place)
    for bad in ("../x", "x" * 33, "0" * 31, "G" * 32, "/", ".", "0" * 32 + "/"):
        for command in ("show", "exists", "verify", "delete"):
            place.run("snapshot", command, bad, code=2)
        place.run("snapshot", "restore", bad, "--into", str(place.folder / "x"), code=2)
        place.run("snapshot", "create", "--parent", bad, code=2)
        place.run("--snapshot", bad, "count", "n", code=2)
    same(sorted(os.listdir(place.folder)), ["store", "store.snapshots"])


def a_snapshot_is_read_in_place(place):
    _some(place, "a", "b")
    first = _create(place)["id"]
    place.run("delete", "n", "a")
    _some(place, "c")
    same([line["id"] for line in place.run("--snapshot", first, "list", "n").lines()], ["a", "b"])
    same(place.run("--snapshot", first, "get", "n", "a").lines()[0]["metadata"], {"of": "a"})
    same(place.run("--snapshot", first, "count", "n").lines(), [{"count": 2}])
    same(place.run("--snapshot", first, "namespaces").lines()[0]["count"], 2)
    place.run("--snapshot", first, "exists", "n", "c", code=3)
    place.run("--snapshot", first, "put", "n", given="{}", code=2)
    pool = str(_pool(place))
    same(run("-d", pool, "--snapshot", first, "count", "n").lines(), [{"count": 2}])


def pools_and_exports_are_enough(place):
    _some(place, "a")
    first = _create(place)["id"]
    export = str(place.folder / "export")
    place.run("snapshot", "create", "--to", export, "--incremental", code=3)
    exported = _create(place, "--to", export)
    _some(place, "b")
    second = _create(place, "--to", export, "--incremental")
    same(second["parent_id"], exported["id"])
    small = str(place.folder / "small")
    compressed = _create(place, "--to", small, "--compress")
    same(compressed["compressed"], True)
    same(compressed["stored_bytes"] < compressed["bytes"], True)
    same("compression_ratio" in compressed, True)
    shutil.rmtree(place.store)
    for number, (pool, snapshot, count) in enumerate([
            (str(_pool(place)), first, 1), (export, exported["id"], 1),
            (export, second["id"], 2), (small, compressed["id"], 2)]):
        target = str(place.folder / f"target{number}")
        same(run("snapshot", "verify", snapshot, "--from", pool).code, 0)
        report = run("snapshot", "restore", snapshot, "--from", pool, "--into", target)
        same(report.lines(), [{"snapshot_id": snapshot, "namespaces_restored": 1,
                               "records_restored": count}])
        same(run("-d", target, "count", "n").lines(), [{"count": count}])
        same(run("-d", target, "verify").code, 0)
    same(run("snapshot", "delete", exported["id"], "--from", export).lines()[0]["deleted"], True)
    same(run("snapshot", "verify", second["id"], "--from", export).code, 0)


def _count_canaries(folder):
    return sum(path.read_bytes().count(CANARY)
               for path in pathlib.Path(folder).rglob("*") if path.is_file())


def _speaking(identity, n_payload=10, **more):
    payload = base64.b64encode(CANARY * n_payload).decode()
    return record(identity, vector=[1, 2], metadata={"of": CANARY.decode() + identity},
                  payload_base64=payload, **more)


def _store_of_canaries(place):
    """Live rows, dead ones, expired ones, patched ones, and those of a dropped namespace."""
    place.put([_speaking(f"id{i}") for i in range(20)])
    place.put([_speaking("large", 2000), _speaking("later", ttl_seconds=1000),
               _speaking("expired", ttl_seconds=0)])
    place.put([_speaking("a"), _speaking("b")], name="dropped")
    place.put([_speaking("x")], name="all deleted")
    place.run("checkpoint")
    place.put([_speaking("id3"), _speaking("new")])
    place.run("delete", "n", "id4")
    place.run("delete", "all deleted", "x")
    place.run("drop", "dropped")
    place.run("checkpoint")
    place.put([_speaking("id5")])


def nothing_is_left_of_what_is_left_out(place):
    _store_of_canaries(place)
    plain, bare, small = (str(place.folder / name) for name in ("plain", "bare", "small"))
    _create(place, "--to", plain)
    first = _create(place, "--to", bare, "--without-metadata", "--description", "to share")
    packed = _create(place, "--to", small, "--without-metadata", "--compress")
    # What is looked for is there to be found.
    same(_count_canaries(plain) > 1000, True)
    same({path.suffix for path in pathlib.Path(plain, "files").iterdir()}, {".seg", ".live"})
    same(_count_canaries(bare), 0)
    same(_count_canaries(small), 0)
    same((first["without_metadata"], packed["without_metadata"]), (True, True))
    same((first["records"], packed["compressed"]), (22, True))
    same(set(os.listdir(pathlib.Path(plain, "files"))) &
         set(os.listdir(pathlib.Path(bare, "files"))), set())
    same(sorted(os.listdir(place.store)).count("tmp") == 0 or
         os.listdir(pathlib.Path(place.store, "tmp")) == [], True)
    has(run("snapshot", "list", "--table", "--from", bare).out.decode(), "without metadata")
    wanted = [{key: line[key] for key in ("id", "vector", "lsn", "expires_at") if key in line}
              for line in place.run("export", "n").lines()]
    same(run("-d", bare, "--snapshot", first["id"], "export", "n").lines(), wanted)
    for number, (pool, snapshot) in enumerate(((bare, first["id"]), (small, packed["id"]))):
        target = str(place.folder / f"target{number}")
        same(run("snapshot", "verify", snapshot, "--from", pool).code, 0)
        dry = run("snapshot", "restore", snapshot, "--from", pool, "--into", target, "--dry-run")
        has(dry.err, "without metadata")
        result = run("snapshot", "restore", snapshot, "--from", pool, "--into", target)
        has(result.err, "without metadata")
        same(result.lines(), [{"snapshot_id": snapshot, "namespaces_restored": 2,
                               "records_restored": 22, "without_metadata": True}])
        same(run("-d", target, "export", "n").lines(), wanted)
        same(_count_canaries(target), 0)
        same(run("-d", target, "verify").code, 0)
        same(run("-d", target, "dimension", "n").out, place.run("dimension", "n").out)
        # It is a store like any other.
        same(run("-d", target, "put", "n", given=_speaking("back")).code, 0)
        same(run("-d", target, "checkpoint").code, 0)
        same(_count_canaries(target) > 0, True)


def kinds_of_exports_are_not_mixed(place):
    _some(place, "a", "b")
    bare, both = str(place.folder / "bare"), str(place.folder / "both")
    first = _create(place, "--to", bare, "--without-metadata")
    files = set(os.listdir(pathlib.Path(bare, "files")))
    _some(place, "c")
    second = _create(place, "--to", bare, "--without-metadata", "--incremental")
    same(second["parent_id"], first["id"])
    same(second["shared_bytes"] > 0 and second["own_bytes"] > 0, True)
    same(files < set(os.listdir(pathlib.Path(bare, "files"))), True)
    has(place.run("snapshot", "create", "--to", bare, "--incremental", code=3).err,
        "without metadata is no parent")
    has(place.run("snapshot", "create", "--to", bare, "--parent", first["id"], code=1).err,
        "without metadata is no parent")
    plain = _create(place, "--to", both)
    has(place.run("snapshot", "create", "--to", both, "--without-metadata", "--incremental",
                  code=3).err, "with metadata is no parent")
    has(place.run("snapshot", "create", "--to", both, "--without-metadata", "--parent",
                  plain["id"], code=1).err, "with metadata is no parent")
    # The newest of the same kind is found behind one of the other.
    other = _create(place, "--to", both, "--without-metadata")
    same(_create(place, "--to", both, "--incremental")["parent_id"], plain["id"])
    same(_create(place, "--to", both, "--without-metadata", "--incremental")["parent_id"],
         other["id"])
    # Another full one shares the files all the same.
    before = sorted(os.listdir(pathlib.Path(both, "files")))
    _create(place, "--to", both, "--without-metadata")
    same(sorted(os.listdir(pathlib.Path(both, "files"))), before)
    for line in run("snapshot", "list", "--from", both).lines():
        same(run("snapshot", "verify", line["id"], "--from", both).code, 0)


def the_own_pool_takes_none_without_metadata(place):
    _some(place, "a")
    place.run("snapshot", "create", "--without-metadata", code=2)
    for pool in (str(_pool(place)), f"{place.store}.snapshots/../store.snapshots"):
        _create(place)
        has(place.run("snapshot", "create", "--to", pool, "--without-metadata", code=2).err,
            "own pool")
    same(len(place.run("snapshot", "list").lines()), 2)
    elsewhere = str(place.folder / "elsewhere")
    place.run("config", "set", "snapshot_dir", elsewhere)
    place.run("snapshot", "create", "--to", elsewhere, "--without-metadata", code=2)


def one_without_metadata_replaces_a_store(place):
    _store_of_canaries(place)
    bare = str(place.folder / "bare")
    snapshot = _create(place, "--to", bare, "--without-metadata")["id"]
    wanted = run("-d", bare, "--snapshot", snapshot, "export", "n").lines()
    for _ in range(2):
        result = place.run("snapshot", "restore", snapshot, "--from", bare, "--replace")
        has(result.err, "without metadata")
        same(place.run("export", "n").lines(), wanted)
        place.run("verify")
        place.run("delete", "n", "id7")
        place.put([_speaking("id8")])
        place.run("checkpoint")
        same("metadata" in place.run("get", "n", "id8").lines()[0], True)
    again = _create(place, "--to", bare, "--without-metadata")
    same(run("snapshot", "verify", again["id"], "--from", bare).code, 0)
    same(_count_canaries(bare), 0)
    named = place.run("snapshot", "restore", snapshot, "--from", bare, "--replace",
                      "--namespace", "n:m")
    has(named.err, "without metadata")
    same(place.run("export", "m").lines() != [], True)


def a_restore_brings_back_what_was(place):
    _some(place, "a", "b")
    place.run("config", "set", "sync_every_commits", "7")
    snapshot = _create(place)["id"]
    place.run("delete", "n", "a")
    _some(place, "c")
    place.run("create", "m")
    place.run("config", "set", "sync_every_commits", "9")
    lsn = place.run("stats").lines()[0]["current_lsn"]
    dry = place.run("snapshot", "restore", snapshot, "--replace", "--dry-run").lines()[0]
    same((dry["records_restored"], dry["dry_run"]), (2, True))
    same(place.ids(), ["b", "c"])
    report = place.run("snapshot", "restore", snapshot, "--replace").lines()
    same(report, [{"snapshot_id": snapshot, "namespaces_restored": 1, "records_restored": 2}])
    same(place.ids(), ["a", "b"])
    place.run("exists", "m", code=3)
    same(place.run("config", "get", "sync_every_commits").lines()[0]["value"], 7)
    same(place.put([record("d")]).lines()[0]["lsn"] > lsn, True)
    place.run("verify")
    target = str(place.folder / "target")
    place.run("snapshot", "restore", snapshot, "--into", target)
    has(place.run("snapshot", "restore", snapshot, "--into", target, code=1).err, "holds a store")
    place.run("snapshot", "restore", snapshot, "--replace", "--namespace", "n", code=1)
    place.run("snapshot", "restore", snapshot, "--replace", "--namespace", r"n:a\:b")
    same(place.run("count", "a:b").lines(), [{"count": 2}])
    place.run("snapshot", "restore", snapshot, "--replace", "--namespace", "nothing", code=3)
    place.run("snapshot", "restore", snapshot, "--replace", "--namespace", "a:b:c", code=2)


def a_store_in_use_is_not_touched(place):
    _some(place, "a")
    snapshot = _create(place)["id"]
    writer = place.start("put", "n", "--batch", "1")
    try:
        writer.stdin.write(record("b").encode() + b"\n")
        writer.stdin.flush()
        has(writer.stdout.readline().decode(), '"count":1')
        place.run("snapshot", "restore", snapshot, "--replace", code=5)
        place.run("snapshot", "create", code=5)
        # These need no store that is at rest.
        same(len(place.run("snapshot", "list").lines()), 1)
        place.run("snapshot", "verify", snapshot)
        same(place.run("--snapshot", snapshot, "count", "n").lines(), [{"count": 1}])
    finally:
        writer.stdin.close()
        same(writer.wait(), 0)
        writer.stdout.close()
        writer.stderr.close()


def damage_is_named_and_nothing_is_restored(place):
    _some(place, *[f"id{i}" for i in range(50)])
    place.run("checkpoint")
    place.run("delete", "n", "id7")
    snapshot = _create(place)["id"]
    pool = _pool(place)
    files = sorted((pool / "files").iterdir()) + [pool / f"{snapshot}.snapshot"]
    same(sorted({f.suffix for f in files}), [".live", ".seg", ".snapshot"])
    for path in files:
        whole = path.read_bytes()
        for damaged in (whole[:-1], whole[:len(whole) // 2] + b"\x5a" + whole[len(whole) // 2 + 1:],
                        None):
            path.unlink()
            if damaged is not None:
                path.write_bytes(damaged)
            expected = 3 if damaged is None and path.suffix == ".snapshot" else 4
            if damaged is None or damaged != whole:
                result = place.run("snapshot", "verify", snapshot, code=expected)
                has(result.err, path.name if expected == 4 else snapshot)
                target = place.folder / "target"
                place.run("snapshot", "restore", snapshot, "--into", str(target), code=expected)
                same(target.exists(), False)
                place.run("snapshot", "restore", snapshot, "--replace", code=expected)
                same(place.run("count", "n").lines(), [{"count": 49}])
            path.unlink(missing_ok=True)
            path.write_bytes(whole)
    place.run("snapshot", "verify", snapshot)


def old_ones_go_and_the_newest_stay(place):
    _some(place, "a")
    place.run("config", "set", "max_snapshots", "3")
    ids = [_create(place)["id"] for _ in range(5)]
    same([line["id"] for line in place.run("snapshot", "list").lines()], ids[:1:-1])
    place.run("config", "set", "max_snapshots", "0")
    ids += [_create(place)["id"] for _ in range(3)]
    same(len(place.run("snapshot", "list").lines()), 6)
    same(place.run("snapshot", "prune", "--keep", "2").lines()[0]["deleted"], 4)
    same([line["id"] for line in place.run("snapshot", "list").lines()], ids[:-3:-1])
    same(place.run("snapshot", "delete", ids[-1]).lines()[0]["deleted"], True)
    same(place.run("snapshot", "delete", ids[-1], code=3).lines()[0]["deleted"], False)
    elsewhere = place.folder / "elsewhere"
    place.run("config", "set", "snapshot_dir", str(elsewhere))
    moved = _create(place)["id"]
    same((elsewhere / f"{moved}.snapshot").exists(), True)


def each_store_is_pruned_by_itself(place):
    """That of a store which was restored from its pool goes on at lower LSNs."""
    _some(place, "a")
    base = _create(place)["id"]
    for i in range(5):
        _some(place, f"b{i}")
    old = _create(place)["id"]
    shutil.rmtree(place.store)
    run("snapshot", "restore", base, "--from", str(_pool(place)), "--into", place.store)
    _some(place, "new")
    new = _create(place)["id"]
    newest = _create(place)["id"]
    same(place.run("snapshot", "prune", "--keep", "1").lines()[0]["deleted"], 1)
    ids = [line["id"] for line in place.run("snapshot", "list").lines()]
    same((sorted(ids), new in ids), (sorted([base, old, newest]), False))
    pruned = run("snapshot", "prune", "--keep", "1", "--from", str(_pool(place)))
    same(pruned.lines()[0]["deleted"], 1)
    ids = [line["id"] for line in place.run("snapshot", "list").lines()]
    same(sorted(ids), sorted([old, newest]))


def pruning_takes_what_nobody_names(place):
    _some(place, "a")
    lost = _create(place)["id"]
    (_pool(place) / f"{lost}.snapshot").unlink()
    files = _pool(place) / "files"
    same(len(list(files.iterdir())) > 0, True)
    pruned = place.run("snapshot", "prune", "--keep", "5").lines()[0]
    same((pruned["deleted"], pruned["freed_bytes"] > 0), (0, True))
    same(list(files.iterdir()), [])


def a_damaged_one_keeps_files_but_no_snapshots(place):
    _some(place, "a")
    ids = [_create(place)["id"] for _ in range(4)]
    path = _pool(place) / f"{ids[2]}.snapshot"
    path.write_bytes(path.read_bytes()[:-1])
    result = place.run("snapshot", "prune", "--keep", "1", code=4)
    same(result.lines(), [{"deleted": 2, "freed_bytes": 0}])
    same("no file can go" in result.err and ids[2] in result.err, True, result)
    same(place.run("snapshot", "delete", ids[3], code=4).lines(),
         [{"deleted": True, "freed_bytes": 0}])
    same(place.run("snapshot", "delete", ids[2]).lines()[0]["freed_bytes"] > 0, True)


def a_purge_names_the_snapshots(place):
    _some(place, "a", "b")
    snapshot = _create(place)["id"]
    same(place.run("purge", "n", "a").lines()[0]["snapshots"], [snapshot])
    place.run("snapshot", "delete", snapshot)
    same(place.run("purge", "n", "a").lines()[0]["snapshots"], [])


def _stop(place, *args):
    """Stops a command at some moment; says how it ended."""
    codes = set()
    for delay in (0, 0.002, 0.005, 0.01, 0.02, 0.05):
        process = place.start(*args)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        process.communicate()
        codes.add(process.returncode)
        yield process.returncode
    same(codes <= {0, 130, -signal.SIGINT}, True, codes)


def stopping_leaves_nothing_half_done(place):
    place.put([record(f"id{i}", vector=[i] * 300) for i in range(3000)])
    whole = _create(place)["id"]
    for _ in _stop(place, "snapshot", "create"):
        for line in place.run("snapshot", "list").lines():
            place.run("snapshot", "verify", line["id"])
    bare = place.folder / "bare"
    for code in _stop(place, "snapshot", "create", "--to", str(bare), "--without-metadata"):
        lines = run("snapshot", "list", "--from", str(bare)).lines() if bare.exists() else []
        same(code != 0 or lines != [], True)
        for line in lines:
            same(run("snapshot", "verify", line["id"], "--from", str(bare)).code, 0)
        shutil.rmtree(bare, ignore_errors=True)
    target = place.folder / "target"
    for _ in _stop(place, "snapshot", "restore", whole, "--into", str(target)):
        if target.exists():
            result = run("-d", str(target), "count", "n")
            same(result.code in (0, 3), True, result)
            same(result.code == 3 or result.lines() == [{"count": 3000}], True, result)
            shutil.rmtree(target)
    place.run("delete", "n", "id5")
    for _ in _stop(place, "snapshot", "restore", whole, "--replace"):
        same(place.run("count", "n").lines()[0]["count"] in (2999, 3000), True)
        place.run("verify")
    place.run("snapshot", "restore", whole, "--into", str(target))
    same(run("-d", str(target), "count", "n").lines(), [{"count": 3000}])


if __name__ == "__main__":
    main()
