#!/usr/bin/env python3
"""create, drop, namespaces, exists, dimension, count, flush, stats, verify, config, wal."""
import json
import os
import pathlib

from harness import has, main, record, run, same


def create_is_idempotent(place):
    same(place.run("create", "n").out, b'{"created":true}\n')
    same(place.run("create", "n").out, b'{"created":false}\n')
    same(place.run("count", "n").out, b'{"count":0}\n')


def create_declares_a_dimension(place):
    place.run("create", "n", "--dimension", "3")
    same(place.run("dimension", "n").out, b'{"dimension":3}\n')
    same(place.run("create", "n", "--dimension=3").out, b'{"created":false}\n')
    same(place.run("create", "n").out, b'{"created":false}\n')
    has(place.run("create", "n", "--dimension", "4", code=1).err, "3")
    has(place.put([record("a", vector=[1])], code=1).err, "mneme: -:1: ")
    for wrong in ("0", "65537", "x", "-1", "1.5", "", "99999999999999999999999"):
        place.run("create", "m", "--dimension", wrong, code=2)
    place.run("exists", "m", code=3)


def a_namespace_without_dimension_takes_the_one_created_later(place):
    place.run("create", "n")
    same(place.run("dimension", "n").out, b'{"dimension":null}\n')
    same(place.run("create", "n", "--dimension", "2").out, b'{"created":false}\n')
    same(place.run("dimension", "n").out, b'{"dimension":2}\n')


def the_first_vector_sets_the_dimension(place):
    place.put([record("a")])
    same(place.run("dimension", "n").lines(), [{"dimension": None}])
    place.put([record("b", vector=[1, 2])])
    same(place.run("dimension", "n").lines(), [{"dimension": 2}])


def drop_tells_if_it_existed(place):
    place.put([record("a", vector=[1])])
    same(place.run("drop", "n").out, b'{"dropped":true}\n')
    result = place.run("drop", "n", code=3)
    same((result.out, result.err), (b'{"dropped":false}\n', 'mneme: no namespace "n"\n'))
    place.run("count", "n", code=3)
    place.put([record("b", vector=[1, 2])])
    same(place.ids(), ["b"])


def exists_answers_by_its_exit_code(place):
    place.put([record("a")])
    same(place.run("exists", "n").out, b'{"exists":true}\n')
    same(place.run("exists", "n", "a").out, b'{"exists":true}\n')
    for words in (("m",), ("n", "b"), ("m", "a")):
        result = place.run("exists", *words, code=3)
        same((result.out, result.err), (b'{"exists":false}\n', ""))


def namespaces_are_listed_in_order(place):
    place.put([record("a", vector=[1, 2])], name="b")
    place.put([record("a"), record("b")], name="a:b")
    place.run("create", "a")
    same(place.run("namespaces").out.decode().splitlines(), [
        '{"namespace":"a","dimension":null,"count":0}',
        '{"namespace":"a:b","dimension":null,"count":2}',
        '{"namespace":"b","dimension":2,"count":1}'])


def tables_are_for_people(place):
    place.put([record(f"r{i}", vector=[1, 2]) for i in range(1234)])
    lines = place.run("namespaces", "--table").out.decode().splitlines()
    same([line.split() for line in lines],
         [["DIMENSION", "RECORDS", "NAMESPACE"], ["2", "1234", '"n"']])
    has(place.run("namespaces", "--human").out.decode(), "1,234")
    same(place.run("count", "n", "--table").out.split(), [b"RECORDS", b"1234"])
    same(place.run("count", "n", "--human").out, b"1,234 records\n")
    has(place.run("stats", "--table").out.decode(), "current_lsn")
    has(place.run("stats", "--human").out.decode(), "iB\n")


def a_missing_store_exits_3_and_is_not_made(place):
    for command in (("drop", "n"), ("namespaces",), ("exists", "n"), ("dimension", "n"),
                    ("count", "n"), ("export", "n"), ("get", "n", "a"), ("delete", "n", "a"),
                    ("list", "n"), ("checkpoint",), ("flush",), ("stats",), ("verify",),
                    ("config", "list"), ("config", "get", "x"), ("config", "set", "x", "1"),
                    ("wal", "stats"), ("wal", "dump")):
        result = place.run(*command, code=3)
        same(result.out, b"", command)
        has(result.err, "mneme: ")
        same(result.err.count("\n"), 1, result.err)
        same(os.path.exists(place.store), False, command)
    os.mkdir(place.store)
    for command in (("count", "n"), ("verify",), ("drop", "n"), ("wal", "dump")):
        place.run(*command, code=3)
        same(os.listdir(place.store), [], command)


def a_bad_name_leaves_no_store_behind(place):
    for name in ("", "x" * 1025, b"\xff"):
        for command in (("create", name), ("put", name), ("count", name),
                        ("import", name, "--rows", "/dev/null")):
            result = place.run(*command, code=1)
            has(result.err, "mneme: name of the namespace ")
            same(result.err.count("\n"), 1)
            same(os.path.exists(place.store), False, command)
    place.run("create", "x" * 1024)


def a_missing_directory_above_the_store_is_named(place):
    above = str(place.folder / "no")
    for store in (above + "/s", above + "//s/"):
        result = run("-d", store, "create", "n")
        same((result.code, result.err),
             (3, f"mneme: {store}: the directory {above} is missing\n"))
        same(run("-d", store, "count", "n").err, f"mneme: there is no store in {store}\n")
    result = run("-d", "no/s", "create", "n", cwd=place.folder)
    same(result.err, "mneme: no/s: the directory no is missing\n")
    same(os.path.exists(above), False)


def writers_make_a_store_in_an_empty_directory(place):
    os.mkdir(place.store)
    place.run("create", "n")
    place.run("exists", "n")


def a_directory_with_other_things_is_left_alone(place):
    os.mkdir(place.store)
    pathlib.Path(place.store, "letter.txt").write_text("dear")
    for command in (("create", "n"), ("put", "n"), ("count", "n")):
        same(place.run(*command, code=None).code != 0, True, command)
        same(os.listdir(place.store), ["letter.txt"])


def flush_and_stats_tell_the_lsn(place):
    place.put([record("a"), record("b")])
    place.put([record("c")])
    same(place.run("flush").out, b'{"durable_lsn":2}\n')
    stats = place.run("stats").lines()[0]
    for key in ("current_lsn", "durable_lsn", "checkpoint_lsn", "namespaces", "records", "expired",
                "memory_bytes", "pinned_bytes", "pinned_bytes_max", "wal_files",
                "wal_current_file_bytes",
                "wal_current_file_records", "wal_records_since_checkpoint", "wal_syncs",
                "wal_groups", "wal_commits", "wal_bytes_written", "wal_direct_io", "is_poisoned"):
        same(key in stats, True, key)
    same((stats["current_lsn"], stats["namespaces"], stats["records"]), (2, 1, 3))
    same(stats["spaces"], 0)
    for name in ("a", "b"):
        place.run("temporal", "create", name, "--dimension", "2")
    same(place.run("stats").lines()[0]["spaces"], 2)
    has(" ".join(place.run("stats", "--table").out.decode().split()), "namespaces 1 spaces 2")


def wal_stats_has_the_keys_scripts_rely_on(place):
    place.put([record(f"r{i}") for i in range(3)], "--batch", "1")
    stats = place.run("wal", "stats").lines()[0]
    same(sorted(stats), ["checkpoint_lsn", "current_file_bytes", "current_file_records",
                         "current_lsn", "files", "records_since_checkpoint"])
    same((stats["current_lsn"], stats["checkpoint_lsn"]), (3, 0))
    same(stats["files"] >= 1, True)


def wal_dump_prints_every_operation(place):
    place.put([record("a", vector=[1, 2], metadata={}), record("b", expires_at=4102444800)])
    place.run("delete", "n", "a")
    entries = [e for e in place.run("wal", "dump").lines() if e["collection"] != "0"]
    same([(e["lsn"], e["type"], e["key"]) for e in entries],
         [(1, "upsert", "a"), (1, "upsert", "b"), (2, "delete", "a")])
    same((entries[0]["dimension"], entries[0]["metadata_bytes"]), (2, 2))
    same(entries[1]["expires_at"], 4102444800)
    same([e["lsn"] for e in place.run("wal", "dump", "--from", "2").lines()], [2])
    same(place.run("wal", "dump", "--from", "3").out, b"")


def settings_persist(place):
    place.run("create", "n")
    settings = {line["key"]: line["value"] for line in place.run("config", "list").lines()}
    same(settings["wal_file_bytes"], 64 << 20)
    same(place.run("config", "get", "wal_file_bytes").out,
         b'{"key":"wal_file_bytes","value":67108864}\n')
    same(place.run("config", "set", "sync", "manual").out,
         b'{"key":"sync","value":"manual"}\n')
    same(place.run("config", "get", "sync").lines()[0]["value"], "manual")


def bad_settings_are_refused(place):
    place.run("create", "n")
    for command in (("get", "nope"), ("set", "nope", "1")):
        has(place.run("config", *command, code=3).err, '"nope"')
    place.run("config", "set", "wal_file_bytes", "12", code=1)
    place.run("config", "set", "sync", "sometimes", code=1)
    for command in (("get",), ("set", "sync"), ("list", "x"), ("drop",), ()):
        place.run("config", *command, code=2)


def verify_reports_what_it_read(place):
    place.put([record(f"r{i}") for i in range(3)], "--batch", "1")
    report = place.run("verify").lines()[0]
    same((report["damaged"], report["last_lsn"], report["torn_tail_bytes"]), (False, 3, 0))
    same(report["bytes"] > 0 and report["files"] > 0, True)
    has(place.run("verify", "--table").out.decode(), "last_lsn")


def _damage(place):
    """Flips a byte of the first record; returns the file's name."""
    file = sorted(pathlib.Path(place.store, "wal").glob("*.wal"))[0]
    content = bytearray(file.read_bytes())
    at = content.index(b"canary-id")
    content[at] ^= 0x20
    file.write_bytes(content)
    return file.name


def damage_exits_4_and_names_the_file(place):
    place.put([record("canary-id")])
    place.put([record("b")])
    name = _damage(place)
    for command in (("count", "n"), ("put", "n"), ("get", "n", "b"), ("stats",), ("wal", "dump")):
        result = place.run(*command, given=record("c") + "\n", code=4)
        has(result.err, f"mneme: {place.store}: wal/{name}: ")
        same(result.err.count(place.store), 1)
    result = place.run("verify", code=4)
    same(result.lines()[0]["damaged"], True)
    has(result.err, f"mneme: {place.store}: wal/{name}: ")
    for file in pathlib.Path(place.store, "wal").iterdir():
        file.unlink()
    has(place.run("verify", code=4).err, f"mneme: {place.store}: ")


def a_lost_end_after_a_clean_close_is_damage(place):
    place.put([record("a")])
    place.put([record("canary-id")])
    file = sorted(pathlib.Path(place.store, "wal").glob("*.wal"))[-1]
    content = bytearray(file.read_bytes())
    at = content.index(b"canary-id") & ~4095
    content[at:] = bytes(len(content) - at)
    file.write_bytes(content)
    for command in (("verify",), ("count", "n"), ("create", "n")):
        has(place.run(*command, code=4).err, f"mneme: {place.store}: wal/")
    pathlib.Path(place.store, "wal", "CLOSED").unlink()
    place.run("verify")


def messages_name_the_store_once(place):
    place.put([record("a")])
    store = pathlib.Path(place.store)
    file = str(store / "STORE")
    for directory, command in ((str(place.folder), "count"), (file, "create"), (file, "count")):
        result = run("-d", directory, command, "n")
        same(result.code in (1, 3), True)
        same((result.err.count(directory), result.err.count("\n")), (1, 1), result.err)
    (store / "STORE").write_bytes(b"x")
    for name in ("store", "store/.", "../" + place.folder.name + "/store/"):
        result = run("-d", name, "count", "n", cwd=place.folder)
        same((result.code, result.err), (4, f"mneme: {name}: STORE is damaged\n"))


def _files(place):
    """Everything about the store that a write would change."""
    return sorted((str(p), p.stat().st_size, p.stat().st_mtime_ns, p.read_bytes()
                   if p.is_file() else b"") for p in pathlib.Path(place.store).rglob("*"))


def reading_writes_nothing(place):
    place.put([record("a", vector=[1, 2])])
    before = _files(place)
    for command in (("namespaces",), ("exists", "n"), ("dimension", "n"), ("count", "n"),
                    ("export", "n"), ("get", "n", "a"), ("list", "n"), ("stats",), ("verify",),
                    ("config", "list"), ("wal", "stats"), ("wal", "dump")):
        place.run(*command)
        same(_files(place), before, command)


def a_torn_tail_is_cut_and_strict_refuses_it(place):
    put = place.start("put", "n", "--batch", "1")
    for i in range(3):
        put.stdin.write(f"{record(f'r{i}')}\n".encode())
        put.stdin.flush()
        same(json.loads(put.stdout.readline())["lsn"], i + 1)
    put.kill()
    put.communicate()
    file = sorted(pathlib.Path(place.store, "wal").glob("*.wal"))[-1]
    content = bytearray(file.read_bytes())
    at = content.index(b"r2")
    content[at] ^= 1
    file.write_bytes(content)
    for command in (("count", "n"), ("wal", "stats"), ("verify",)):
        place.run("--recovery", "strict", *command, code=4)
        place.run(*command, "--recovery=strict", code=4)
    report = place.run("verify").lines()[0]
    same((report["damaged"], report["last_lsn"]), (False, 2))
    same(report["torn_tail_bytes"] > 0, True)
    same(place.run("--recovery", "tail", "count", "n").lines(), [{"count": 2}])
    place.put([record("r3")])
    same(place.ids(), ["r0", "r1", "r3"])
    same(run("-d", place.store, "--recovery", "strict", "verify").code, 0)


def a_number_below_zero_is_a_word_and_no_option(place):
    place.put([record("-1")])
    same([line["id"] for line in place.get("-1")], ["-1"])
    before = place.run("config", "get", "sync_interval_ms").out
    result = place.run("config", "set", "sync_interval_ms", "-1", code=None)
    same(result.code != 0 and "unknown option" not in result.err, True, result)
    has(result.err, "sync_interval_ms")
    same(place.run("config", "get", "sync_interval_ms").out, before)
    has(place.run("config", "set", "sync_interval_ms", "-x", code=2).err, "unknown option -x")


if __name__ == "__main__":
    main()
