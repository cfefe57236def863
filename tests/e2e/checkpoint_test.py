#!/usr/bin/env python3
"""checkpoint: what is in segments reads, counts and goes like what is in the log; damage in them;
SIGKILL and Ctrl-C while they are written. MNEME_SEED sets the seed, MNEME_KILLS the rounds.
"""
import json
import os
import pathlib
import random
import shutil
import signal
import time

from harness import floats64, has, main, record, run, same

SEED = int(os.environ.get("MNEME_SEED", time.time_ns() % 10**9))
ROUNDS = int(os.environ.get("MNEME_KILLS", "10"))
NAN = 0x7FC00001


def _export(place, name="n"):
    return place.run("export", name, "--vectors", "base64").out


def _stats(place):
    return place.run("stats").lines()[0]


def _segments(place, suffix=".seg"):
    """The oldest first."""
    return sorted((p for p in pathlib.Path(place.store, "seg").iterdir()
                   if p.name.endswith(suffix)), key=lambda p: p.stat().st_mtime_ns)


def _manifests(place):
    return sorted(p.name for p in pathlib.Path(place.store).glob("MANIFEST-*"))


def _files(place):
    return sorted((str(p), p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"")
                  for p in pathlib.Path(place.store).rglob("*"))


def _flip(path, marker):
    """Flips a bit of the byte where `marker` begins, or of the byte in the middle."""
    content = bytearray(path.read_bytes())
    at = content.index(marker) if marker else len(content) // 2
    content[at] ^= 0x20
    path.write_bytes(content)


def _checkpoint(place):
    lines = place.run("checkpoint").lines()
    same((len(lines), list(lines[0])), (1, ["checkpoint_lsn"]))
    return lines[0]["checkpoint_lsn"]


def _varied(n):
    lines = [record(f"r{i:04}", vector=[i, -i / 4], metadata={"i": i, "text": "é" * (i % 7)},
                    event_time_us=i) for i in range(n)]
    lines += [record("nan", vector_base64=floats64(NAN, 0xFF800000)),
              record("payload", payload_base64="AAEC" * 3000),
              record("later", expires_at=4102444800.5), record("gone", expires_at=1),
              record("é\n:", metadata={"nested": {"a": [None, 1e300]}})]
    return lines


def every_record_is_as_it_was(place):
    place.put(_varied(300))
    place.put([record("a", vector=[1, 2, 3])], name="other")
    before = _export(place), _export(place, "other"), place.run("list", "n").out
    same(_checkpoint(place), 2)
    for _ in range(2):
        same((_export(place), _export(place, "other"), place.run("list", "n").out), before)
        same(place.run("count", "n").lines(), [{"count": 304}])
        same([one["id"] for one in place.get("r0007", "é\n:", "nan")], ["r0007", "é\n:", "nan"])
        same(place.run("get", "n", "r0007", "gone", "no", code=3).err.count("\n"), 2)
        same(place.run("dimension", "other").lines(), [{"dimension": 3}])
        same(place.ids("--prefix", "r000", "--after", "r0007"), ["r0008", "r0009"])
        same(_checkpoint(place), 2)
    same(len(_segments(place)), 1)
    wal = place.run("wal", "stats").lines()[0]
    same((wal["checkpoint_lsn"], wal["records_since_checkpoint"]), (2, 0))


def what_is_in_segments_can_be_replaced_deleted_and_dropped(place):
    place.put([record(f"r{i}", vector=[i]) for i in range(20)])
    place.put([record("x")], name="gone")
    _checkpoint(place)
    place.put([record("r3", vector=[33]), record("new", vector=[5])])
    same(place.run("delete", "n", "r1", "r2").lines()[0]["deleted"], 2)
    place.run("delete", "n", "r1", code=3)
    place.run("drop", "gone")
    for _ in range(3):
        same(place.run("count", "n").lines(), [{"count": 19}])
        same([one["vector"] for one in place.get("r3", "new", "r4")], [[33], [5], [4]])
        place.get("r1", code=3)
        place.run("exists", "gone", code=3)
        same([line["namespace"] for line in place.run("namespaces").lines()], ["n"])
        _checkpoint(place)
    place.put([record("r1", vector=[1])])
    place.put([record("y")], name="gone")
    same(place.ids(name="gone"), ["y"])
    same(place.run("count", "n").lines(), [{"count": 20}])
    same(place.run("verify").lines()[0]["damaged"], False)


def stats_and_verify_tell_of_segments(place):
    place.put([record(f"r{i}") for i in range(10)])
    none = _stats(place)
    same([none[key] for key in ("segments", "runs", "segment_bytes", "segment_rows",
                                "segment_dead_rows", "manifest_number", "checkpoint_lsn")], [0] * 7)
    _checkpoint(place)
    place.run("delete", "n", "r0")
    place.put([record("r1")])
    _checkpoint(place)
    stats = _stats(place)
    same((stats["segments"], stats["runs"]), (2, 2))
    same((stats["records"], stats["segment_dead_rows"], stats["checkpoint_lsn"]), (9, 2, 3))
    same(stats["segment_bytes"],
         sum(p.stat().st_size for p in _segments(place) + _segments(place, ".live")))
    same(len(_segments(place, ".live")), 1)
    same(_manifests(place), [f"MANIFEST-{stats['manifest_number']:020}"])
    report = place.run("verify").lines()[0]
    same((report["damaged"], report["damaged_files"], report["segments"]), (False, 0, 2))
    same(report["segment_rows"], stats["segment_rows"])
    # STORE, the manifest, two segments, a liveness file, the log.
    same(report["files"], 5 + stats["wal_files"])
    same(report["last_lsn"], 3)


def damage_in_segments_is_named_counted_and_stays_where_it_is(place):
    for i in range(3):
        place.put([record(f"{k}{i}", payload_base64=f"{k * 4}" * 6000) for k in "abc"])
        _checkpoint(place)
    first, second, third = _segments(place)
    _flip(second, b"a1")
    result = place.run("verify", code=4)
    has(result.err, second.name)
    same((result.err.count("\n"), result.lines()[0]["damaged_files"]), (1, 1))
    result = place.run("get", "n", "a1", code=4)
    same((result.out, second.name in result.err), (b"", True))
    place.run("export", "n", code=4)
    same(len(place.get("a0", "c0", "a2")), 3)
    # All damage is found in one go, that of missing files too.
    _flip(third, b"c2")
    first.unlink()
    result = place.run("verify", code=4)
    for file in (first, second, third):
        has(result.err, file.name)
    report = result.lines()[0]
    same((report["damaged"], report["damaged_files"], report["segments"]), (True, 3, 2))
    same((report["last_lsn"], result.err.count("\n")), (3, 3))
    result = place.run("count", "n", code=4)
    has(result.err, first.name)
    shutil.rmtree(pathlib.Path(place.store, "seg"))
    has(place.run("verify", code=4).err, "the directory seg is missing")
    has(place.run("count", "n", code=4).err, "the directory seg is missing")


def damage_in_liveness_and_manifest_is_named(place):
    place.put([record(f"r{i}") for i in range(40)])
    for i in range(3):
        _checkpoint(place)
        place.run("delete", "n", f"r{i}")
    _checkpoint(place)
    lives = _segments(place, ".live")
    same(len(lives), 3)
    keep = pathlib.Path(place.folder, "keep")
    shutil.copytree(place.store, keep)
    # Later generations are not blamed for the damaged one.
    _flip(lives[0], b"")
    result = place.run("verify", code=4)
    same((lives[0].name in result.err, result.lines()[0]["damaged_files"]), (True, 1))
    has(place.run("count", "n", code=4).err, lives[0].name)
    _flip(lives[2], b"")
    same(place.run("verify", code=4).lines()[0]["damaged_files"], 2)
    shutil.rmtree(place.store)
    shutil.copytree(keep, place.store)
    manifest = pathlib.Path(place.store, _manifests(place)[-1])
    content = bytearray(manifest.read_bytes())
    content[20] ^= 1
    manifest.write_bytes(content)
    result = place.run("verify", code=4)
    has(result.err, "one of its two copies is damaged")
    same(place.run("count", "n").lines(), [{"count": 37}])
    content[len(content) // 2 + 20] ^= 1
    manifest.write_bytes(content)
    for command in (("verify",), ("count", "n"), ("put", "n"), ("checkpoint",)):
        has(place.run(*command, given=record("x") + "\n", code=4).err, manifest.name)
    manifest.unlink()
    for command in (("verify",), ("count", "n")):
        has(place.run(*command, code=4).err, "manifest")


def reading_changes_no_file_of_a_copy(place):
    place.put([record(f"r{i}", vector=[i]) for i in range(50)])
    _checkpoint(place)
    place.run("delete", "n", "r1")
    _checkpoint(place)
    place.put([record("x", vector=[1])])
    # What a crash leaves, a reader leaves too.
    number = int(_manifests(place)[-1][-20:]) + 1
    pathlib.Path(place.store, f"MANIFEST-{number:020}.new").write_bytes(b"half")
    pathlib.Path(place.store, "seg", "0" * 31 + "1.seg").write_bytes(b"half")
    copy = str(place.folder / "copy")
    shutil.copytree(place.store, copy)
    place.store, original = copy, place.store
    before = _files(place)
    for command in (("namespaces",), ("exists", "n", "r2"), ("dimension", "n"), ("count", "n"),
                    ("export", "n"), ("get", "n", "r2", "x"), ("list", "n"), ("stats",),
                    ("verify",), ("config", "list"), ("wal", "stats"), ("wal", "dump")):
        same(place.run(*command).out, run("-d", original, *command).out, command)
        same(_files(place), before, command)
    _checkpoint(place)
    same((len(_segments(place)), len(_manifests(place))), (2, 1))
    same(place.run("count", "n").lines(), [{"count": 50}])


def _killed_checkpoint(place, seconds, signal_number=signal.SIGKILL, old=None):
    """Whether it was killed before it was through: after so long, or so long after a file began
    that is not one of the `old` names."""
    process = place.start("checkpoint", stdin=None)
    while old is not None and process.poll() is None and \
            old.issuperset(os.listdir(pathlib.Path(place.store, "seg"))):
        continue
    time.sleep(seconds)
    process.send_signal(signal_number)
    out, _ = process.communicate()
    return out == b"", process.returncode


def a_checkpoint_that_is_killed_loses_nothing(place):
    chance = random.Random(SEED)
    n_killed = 0
    n_half = 0
    took = 0.1
    for number in range(ROUNDS):
        place.put([record(f"{number:03}-{i}", vector=[i] * 256, metadata={"i": i})
                   for i in range(1500)], "--batch", "500")
        place.run("delete", "n", *[f"{chance.randrange(number + 1):03}-{chance.randrange(1500)}"
                                   for _ in range(5)], code=None)
        before = _export(place)
        if number == 0:
            began = time.monotonic()
            _checkpoint(place)
            took = time.monotonic() - began
        else:
            old = {p.name for p in _segments(place, "")}
            was_killed, _ = _killed_checkpoint(place, chance.random() * took / 2) \
                if chance.random() < 0.3 else \
                _killed_checkpoint(place, chance.random() * 0.02, old=old)
            n_killed += was_killed
            n_half += was_killed and not old.issuperset(p.name for p in _segments(place, ""))
        same(_export(place) == before, True, f"round {number}")
        same(place.run("verify").lines()[0]["damaged"], False)
        same(place.run("count", "n").lines()[0]["count"], before.count(b"\n"))
    print(f"{n_killed} of {ROUNDS - 1} killed in time, {n_half} after a segment was begun")
    _checkpoint(place)
    same(_export(place) == before, True)
    same(len(_segments(place)), _stats(place)["segments"])
    same(len(_manifests(place)), 1)
    if ROUNDS >= 10 and n_killed == 0:
        raise AssertionError("no checkpoint was killed in time")


def ctrl_c_ends_a_checkpoint_at_once(place):
    place.put([record(f"{i}", vector=[i] * 512) for i in range(5000)])
    before = _export(place)
    for seconds in (0.01, 0.05, 0.1):
        was_stopped, code = _killed_checkpoint(place, seconds, signal.SIGINT)
        same(code in ((130, -signal.SIGINT) if was_stopped else (0, 130)), True, code)
        same(_export(place) == before, True)
    same(json.loads(place.run("checkpoint").out)["checkpoint_lsn"], 1)


def damage_keeps_no_other_record_back(place):
    """get, list and export print what is there, say what is damaged, and exit with 4."""
    ids = [f"r{i:03}" for i in range(40)]
    place.put([record(i, payload_base64="AAEC" * 700, metadata={"mark": "mark-" + i}) for i in ids])
    _checkpoint(place)
    _flip(_segments(place)[0], b"mark-r010")
    single = [i for i in ids if place.run("get", "n", i, code=None).code == 0]
    lost = len(ids) - len(single)
    same((0 < lost < 20, "r010" in single), (True, False))
    result = place.run("get", "n", "absent", *ids, code=4)
    same([line["id"] for line in result.lines()], single)
    has(result.err, 'no record "absent"')
    has(result.err, '"r010"')
    has(result.err, _segments(place)[0].name)
    same(result.err.count("\n"), lost + 1)
    for command in ("export", "list"):
        for more, expected in (((), single), (("--limit", "30"), single[:30]),
                               (("--reverse",), single[::-1])):
            result = place.run(command, "n", *more, code=4)
            same([line["id"] for line in result.lines()], expected, (command, more))
            has(result.err, _segments(place)[0].name)
            same(result.err.count("\n") <= lost, True)


def an_older_log_beside_a_newer_manifest_is_refused(place):
    """A whole copy of the log from before the checkpoint: its LSNs would be given out again."""
    log = pathlib.Path(place.store, "wal")
    place.put([record("a")])
    shutil.copytree(log, place.folder / "older")
    for record_id in "bcde":
        place.put([record(record_id)])
    place.run("checkpoint")
    shutil.copytree(log, place.folder / "newer")

    def refused():
        for args, given in ((["verify"], ""), (["put", "n"], record("NEW") + "\n"),
                            (["put", "n", "--recovery", "strict"], record("NEW") + "\n"),
                            (["get", "n", "a"], ""), (["stats"], ""), (["delete", "n", "a"], "")):
            result = place.run(*args, given=given, code=4)
            has(result.err, "the log ends at LSN 1,")
            has(result.err, "LSN 5")
            has(result.err, "older than the rest of the store")

    shutil.rmtree(log)
    shutil.copytree(place.folder / "older", log)
    refused()
    os.remove(log / "CLOSED")
    refused()
    shutil.copy(place.folder / "newer" / "CLOSED", log)
    refused()
    shutil.rmtree(log)
    shutil.copytree(place.folder / "newer", log)
    same([r["lsn"] for r in place.put([record("f")]).lines()], [6])
    same(place.ids(), list("abcdef"))


if __name__ == "__main__":
    print(f"MNEME_SEED={SEED}", flush=True)
    main()
