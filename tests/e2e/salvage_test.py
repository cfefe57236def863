#!/usr/bin/env python3
"""salvage: what comes back of a store whose files are damaged."""
import hashlib
import os
import pathlib
import shutil

from harness import has, main, record, run, same


def _checkpoint(place, is_trimmed):
    """With so much behind them the log files that hold the records go."""
    if is_trimmed:
        for _ in range(2):
            place.put([record("filler", payload_base64="A" * 48000)])
            place.run("delete", "n", "filler")
    place.run("checkpoint")


def _fill(place, n=1500, is_trimmed=False):
    """Segments of two checkpoints, of which the second leaves deaths behind, and a log; the log
    holds everything that ever was, or only what is newer than the second checkpoint."""
    if is_trimmed:
        place.run("create", "n")
        place.run("config", "set", "wal_file_bytes", "65536")
    lines = [record(f"r{i:04}", vector=[i, 0.5], metadata={"i": i, "text": "x" * 60},
                    event_time_us=-i) for i in range(n)]
    place.put(lines, "--batch", "100")
    place.put([record("a", payload_base64="AP8=", expires_at=4102444800)], name="other")
    place.put([record("old")], name="dropped")
    _checkpoint(place, is_trimmed)
    place.put([record(f"r{i:04}", vector=[i, 7], metadata={"i": i}) for i in range(0, n, 100)])
    place.run("delete", "n", "r0001", "r0002")
    place.run("drop", "dropped")
    _checkpoint(place, is_trimmed)
    place.put([record("late", vector=[1, 2])])
    place.run("delete", "n", "r0003")
    place.put([record("last", vector=[3, 4])])


def _export(store, name="n", code=0):
    result = run("-d", store, "export", name)
    same(result.code, code, name)
    return {line["id"]: {k: v for k, v in line.items() if k != "lsn"} for line in result.lines()}


def _salvage(place, code, to="rescued"):
    target = str(place.folder / to)
    result = run("salvage", place.store, target)
    same(result.code, code, result)
    return target, result.lines()[0], result.err


def _files(place, pattern):
    return sorted(pathlib.Path(place.store).glob(pattern))


def _flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def _largest_segment(place):
    return max(_files(place, "seg/*.seg"), key=lambda path: path.stat().st_size)


def _state(folder):
    return {str(path): (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns)
            for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()}


def a_whole_store_comes_back_whole_and_stays_as_it_is(place):
    _fill(place)
    place.run("config", "set", "sweep_interval_ms", "77")
    before = _state(place.store)
    target, report, err = _salvage(place, 0)
    same(_state(place.store), before)
    same((report["damaged"], report["damages"], err), (False, 0, ""))
    for name in ("n", "other"):
        same(_export(target, name), _export(place.store, name))
    same(report["records"], len(_export(target)) + 1)
    same(run("-d", target, "exists", "dropped").code, 3)
    same(run("-d", target, "config", "get", "sweep_interval_ms").lines()[0]["value"], 77)
    same(run("-d", target, "verify").code, 0)


def a_damaged_block_costs_its_records_only(place):
    _fill(place, is_trimmed=True)
    expected = _export(place.store)
    path = _largest_segment(place)
    _flip(path, path.read_bytes().index(b"r0750"))
    same(place.run("export", "n", code=4).code, 4)
    target, report, err = _salvage(place, 4)
    got = _export(target)
    assert "r0750" not in got
    assert 0 < report["lost_records"] < 400, report
    same(len(got) + report["lost_records"], len(expected))
    same(got, {key: value for key, value in expected.items() if key in got})
    has(err, f"seg/{path.name}: ")
    has(err, "records cannot be read")


def a_missing_segment_costs_its_records_only(place):
    _fill(place, is_trimmed=True)
    expected = _export(place.store)
    _largest_segment(place).unlink()
    place.run("list", "n", code=4)
    target, report, err = _salvage(place, 4)
    # The first catalogue was in it.
    same(report["lost_names"], 1)
    names = [line["namespace"] for line in run("-d", target, "namespaces").lines()]
    same(names, ["lost-1"])
    got = _export(target, "lost-1")
    same(sorted(got), ["last", "late"] + [f"r{i:04}" for i in range(0, 1500, 100)])
    same(got, {key: value for key, value in expected.items() if key in got})
    has(err, "the name of namespace 1 is lost")
    same(report["unsure_records"], report["records"])


def what_a_segment_lost_comes_back_from_the_log(place):
    _fill(place)
    expected = _export(place.store)
    path = _largest_segment(place)
    content = path.read_bytes()
    _flip(path, content.index(b"r0750"))
    damaged = _salvage(place, 4, "damaged")
    path.unlink()
    missing = _salvage(place, 4, "missing")
    for pattern in ("seg/*.live", "seg/*.seg"):
        for other in _files(place, pattern):
            other.unlink()
    for target, report, err in (damaged, missing, _salvage(place, 4, "none")):
        same(_export(target), expected)
        same(run("-d", target, "exists", "dropped").code, 3)
        same((report["records"], report["lost_records"], report["lost_names"],
              report["unsure_records"]), (len(expected) + 1, 0, 0, 0), err)


def a_namespace_whose_drop_is_in_the_log_stays_dropped(place):
    for is_created_in_log in (True, False):
        place.put([record(f"r{i}") for i in range(100)], name="a")  # so that nothing is merged
        place.run("config", "set", "wal_file_bytes", "65536")
        place.run("checkpoint")
        before = set(_files(place, "seg/*.seg"))
        place.run("create", "b")
        if not is_created_in_log:
            for _ in range(2):
                place.put([record("filler", payload_base64="A" * 48000)], name="a")
                place.run("delete", "a", "filler")
        place.run("checkpoint")
        (path,) = set(_files(place, "seg/*.seg")) - before
        place.put([record("z")], name="b")
        place.run("drop", "b")
        path.unlink()
        target, report, err = _salvage(place, 4, f"rescued-{is_created_in_log}")
        names = [line["namespace"] for line in run("-d", target, "namespaces").lines()]
        if is_created_in_log:
            same((names, report["unsure_records"]), (["a"], 0), err)
        else:
            # Which namespace had been called "b" is lost with its row.
            same((names, report["unsure_records"]), (["a", "lost-2"], 1), err)
        shutil.rmtree(place.store)


def what_lost_commits_may_have_changed_is_unsure(place):
    place.put([record(f"r{i}") for i in range(10)])
    place.run("config", "set", "wal_file_bytes", "65536")
    place.run("checkpoint")
    place.put([record("filler", payload_base64="A" * 48000)])
    place.put([record("filler", payload_base64="A" * 48000)])
    place.run("delete", "n", "r3")
    path = max(_files(place, "wal/*.wal"), key=lambda file: file.name)
    _flip(path, 20)
    target, report, err = _salvage(place, 4)
    assert "r3" in _export(target)
    same(report["unsure_records"], report["records"], err)


def what_verify_finds_salvage_finds(place):
    _fill(place, 20)
    for path in _files(place, "seg/*.seg"):
        n = path.stat().st_size
        for offset in list(range(0, n, n // 40)) + [677]:
            _flip(path, offset)
            same(place.run("verify", code=None).code, 4, offset)
            target, report, err = _salvage(place, 4)
            assert report["damages"] > 0, report
            has(err, f"seg/{path.name}: ")
            shutil.rmtree(target)
            _flip(path, offset)


def without_liveness_the_log_still_knows_what_was_deleted(place):
    _fill(place)
    expected = _export(place.store)
    (path,) = _files(place, "seg/*.live")
    _flip(path, path.stat().st_size // 2)
    target, report, err = _salvage(place, 4)
    same(_export(target), expected)
    assert report["unsure_records"] > 0, report


def without_liveness_deleted_records_may_come_back(place):
    _fill(place, is_trimmed=True)
    expected = _export(place.store)
    (path,) = _files(place, "seg/*.live")
    _flip(path, path.stat().st_size // 2)
    target, report, err = _salvage(place, 4)
    got = _export(target)
    same(sorted(set(got) - set(expected)), ["r0001", "r0002"])  # deleted in the log: r0003
    same({key: value for key, value in got.items() if key in expected}, expected)
    assert report["unsure_records"] > 0, report
    has(err, f"seg/{path.name}: ")


def without_a_manifest_all_segments_are_read(place):
    _fill(place)
    expected = _export(place.store)
    paths = _files(place, "MANIFEST-*")
    for path in paths:
        _flip(path, 100)
    target, report, err = _salvage(place, 4, "one-copy")
    same((_export(target), report["unsure_records"]), (expected, 0))
    has(err, "one of its two copies is damaged")
    for path in paths:
        _flip(path, path.stat().st_size // 2 + 100)
    place.run("list", "n", code=4)
    for to in ("both-copies", "none"):
        target, report, err = _salvage(place, 4, to)
        same(_export(target), expected)
        same(_export(target, "other"), {"a": {"id": "a", "payload_base64": "AP8=",
                                              "expires_at": 4102444800}})
        assert report["unsure_records"] > 0, report
        has(err, "MANIFEST: ")
        for path in paths:
            path.unlink(missing_ok=True)


def damage_in_the_log_costs_the_commits_that_it_hits(place):
    _fill(place)
    path = _files(place, "wal/*.wal")[-1]
    _flip(path, path.read_bytes().index(b"late"))
    place.run("list", "n", code=4)
    target, report, err = _salvage(place, 4)
    got = _export(target)
    assert "late" not in got and "last" in got and "r0003" not in got
    same(len(got), 1500 - 3 + 1)
    has(err, f"wal/{path.name}: damaged at offset ")


def a_store_without_its_log_or_its_mark_is_read(place):
    _fill(place)
    expected = _export(place.store)
    os.unlink(place.store + "/STORE")
    target, report, err = _salvage(place, 4, "no-mark")
    same(_export(target), expected)
    has(err, "STORE: the settings are lost: it is missing")
    shutil.rmtree(place.store + "/wal")
    target, report, err = _salvage(place, 4, "no-log")
    same(set(expected) - set(_export(target)), {"late", "last"})
    has(err, "wal: it is missing")


def a_store_that_had_no_checkpoint_is_read_from_its_log(place):
    place.put([record(f"r{i}") for i in range(50)], "--batch", "1")
    place.run("delete", "n", "r7")
    target, report, err = _salvage(place, 0)
    same(_export(target), _export(place.store))


def what_cannot_be_salvaged_is_refused(place):
    _fill(place, 10)
    missing = str(place.folder / "missing")
    same(run("salvage", missing, str(place.folder / "to")).code, 3)
    same(run("salvage", str(place.folder), str(place.folder / "to")).code, 3)
    same(run("salvage", place.store).code, 2)
    result = run("salvage", place.store, place.store)
    same(result.code, 1)
    has(result.err, "is not empty")
    assert not (place.folder / "to").exists()
    writer = place.start("put", "n", "--batch", "1")
    writer.stdin.write((record("w", vector=[1, 2]) + "\n").encode())
    writer.stdin.flush()
    writer.stdout.readline()
    same(run("salvage", place.store, str(place.folder / "to")).code, 5)
    writer.communicate()


def a_space_comes_back_with_its_settings_and_a_new_history(place):
    place.run("temporal", "create", "m", "--dimension", "1", "--history", "7d", "--keep-points",
              "2")
    for value in range(3):
        place.run("temporal", "put", "m",
                  given=[f'{{"entity":1,"time_us":{t},"vector":[{value}]}}' for t in (5, 6)])
        place.run("checkpoint")
    target, report, _ = _salvage(place, 0)
    same(report["records"], 2)
    space = run("-d", target, "temporal", "spaces").lines()[0]
    same((space["name"], space["count"], space["keep_points"]), ("m", 2, 2))
    known_from = space["known_from_lsn"]
    newest = run("-d", target, "temporal", "latest", "m", "1").lines()[0]
    same((newest["time_us"], newest["vector"]), (6, [2]))
    then = ("temporal", "asof", "m", "1", "6", "--known-at")
    same(run("-d", target, *then, str(newest["lsn"])).lines(), [newest])
    same(run("-d", target, *then, str(known_from - 1)).code, 1 if known_from > 1 else 2)
    run("-d", target, "temporal", "put", "m", given=['{"entity":1,"time_us":6,"vector":[9]}'])
    same(run("-d", target, *then, str(newest["lsn"])).lines(), [newest])
    same(run("-d", target, "namespaces").out, b"")


def points_that_come_back_are_no_more_than_a_space_keeps(place):
    place.run("create", "n")
    place.run("config", "set", "wal_file_bytes", "65536")
    place.run("temporal", "create", "m", "--dimension", "1", "--keep-points", "2")
    for entities, times in ((range(750), range(2)), (range(2), range(2, 3))):
        place.run("temporal", "put", "m", "--batch", "100",
                  given=[f'{{"entity":{e},"time_us":{t},"vector":[{t}]}}'
                         for t in times for e in entities])
        _checkpoint(place, True)
    (path,) = _files(place, "seg/*.live")
    _flip(path, path.stat().st_size // 2)
    target, report, _ = _salvage(place, 4)
    same(report["records"], 1500)  # two came back, since their deletes are lost, and went
    for entity, first_us in (("0", 1), ("1", 1), ("2", 0)):
        line = run("-d", target, "temporal", "timeline", "m", entity).lines()[0]
        same((line["count"], line["first_us"], line["last_us"]), (2, first_us, first_us + 1))


if __name__ == "__main__":
    main()
