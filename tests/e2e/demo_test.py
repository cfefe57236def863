#!/usr/bin/env python3
"""examples/demo succeeds with the real command, and fails with one that loses or changes data."""
import json
import os
import pathlib
import re
import subprocess
import xml.etree.ElementTree as xml

from harness import MNEME, environment, has, main, run, same

DEMO = pathlib.Path(__file__).resolve().parents[2] / "examples" / "demo"


def _demo(place, *args, command=MNEME):
    """Runs the demo with `command` as the first mneme on PATH, and nothing of the tests' own."""
    folder = place.folder / "bin"
    folder.mkdir(exist_ok=True)
    link = folder / "mneme"
    link.unlink(missing_ok=True)
    link.symlink_to(command)
    done = subprocess.run([DEMO, *args], stdin=subprocess.DEVNULL, capture_output=True,
                          cwd=place.folder, env=environment(PATH=f"{folder}:{os.environ['PATH']}"))
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def _pretender(place, before):
    """A command that does `before` (shell; sees its arguments) and then what the real one does."""
    path = place.folder / "pretender"
    path.write_text(f'#!/bin/bash\nreal="{MNEME}"\n{before}\nexec "$real" "$@"\n')
    path.chmod(0o755)
    return path


def everything_acknowledged_comes_back_and_the_store_stays(place):
    code, out, err = _demo(place)
    same((code, err), (0, ""))
    acked = int(re.search(r"disk: (\d+) passages are acknowledged", out)[1])
    # What the writer acknowledged between the half and its death counts, too.
    same(acked >= 1398 // 2 // 6 * 6 and acked % 6 == 0, True, acked)
    has(out, f"all {acked} acknowledged passages are there")
    has(out, "Batches that are there in part: 0.")
    has(out, "The first 348 passages lie in segments now")
    same(len(re.findall(r'mneme checkpoint\n{"checkpoint_lsn":\d+}', out)), 4)
    has(out, "All 1398 are there")
    questions = [json.loads(line)["text"]
                 for line in (DEMO.parent / "data/speeches/questions.jsonl").open()]
    answers = re.findall(r"\n\n(.*)\n  ([01]\.\d{3})  [\w ]+, \d{4}: .*\n         \w.*\n"
                         r"  ([01]\.\d{3})  [\w ]+, \d{4}: .* \.\.\.(?=\n\n)", out)
    same(([question for question, _, _ in answers], len(questions)), (questions, 20))
    same(all(best >= next_one for _, best, next_one in answers), True, answers)
    has(out, "  0.606  George W Bush, 2005: And when that result is achieved")
    has(out, "George Washington, 1790:\n    The progress of public credit")
    same("\x1b" in out, False, "colours")
    store = str(place.folder / "mneme-demo" / "store")
    same(run("-d", store, "count", "speeches").lines(), [{"count": 1398}])
    same(sorted(os.listdir(place.folder / "mneme-demo")),
         ["addresses.svg", "made-by-examples-demo", "store"])
    _check_points(place, out, store)
    has(out, '{"kind":"semantic","score":0.63163')
    has(out, '{"kind":"miss","reason":"below","score":0.278')
    same([line["id"] for line in run("-d", store, "cache", "list", "7").lines()], ["0", "1"])
    # What it says that the reader can type works as it is written.
    commands = out.partition("== Go on alone\n")[2].strip().splitlines()
    has(commands[-1], "rm -r ")
    done = subprocess.run(["bash", "-euc", "\n".join(commands)], capture_output=True,
                          cwd="/", env=environment())
    same((done.returncode, done.stderr), (0, b""))
    same(os.path.exists(place.folder / "mneme-demo"), False)


def _check_points(place, out, store):
    """The part about points over time: one entity of all addresses, and one per president."""
    has(out, '{"entity":"1","count":233,"first_us":-5680195200000000,"last_us":1609459200000000}')
    spaces = run("-d", store, "temporal", "spaces").lines()
    same([(space["name"], space["count"]) for space in spaces],
         [("addresses", 233), ("presidents", 233)])
    same(len(run("-d", store, "temporal", "entities", "presidents").lines()), 43)
    vector = run("-d", store, "temporal", "latest", "presidents", "15").lines()[0]["vector"]
    same(abs(sum(x * x for x in vector) - 1) < 1e-6, True)
    drift = re.search(r'"cosine":(0\.\d+),', out)[1]
    same(0.4 < float(drift) < 0.6, True, drift)
    has(out, "From these addresses on they spoke of something else than before:\n")
    for who in ("John Quincy Adams, 1827", "William H Taft, 1912", "Franklin D Roosevelt, 1935",
                "Jimmy Carter, 1981"):
        has(out, f"\n    {who}\n")
    has(out, "first two principal components, 26.7 % (across) and 9.49 % (up)")
    has(out, "cosine distance from the first point")
    has(out, "RANK  DISTANCE  ENTITY  TIME                  TEXT\n"
             "   1  0.388262  10      1846-01-01T00:00:00Z  James Polk, 1846\n")
    has(out, "slavery and the union of the states (as of 1850-06-01)\n")
    root = xml.parse(place.folder / "mneme-demo" / "addresses.svg").getroot()
    has("".join(root.itertext()), 'space "addresses", entity 1')


def points_that_are_lost_or_changed_are_found_out(place):
    for before, part in (
            ('[ "$4" != put ] || exec "$real" "$@" < <(sed 100d)', "points are not"),
            ("[ \"$4\" != put ] || exec \"$real\" \"$@\" < <(sed 's/,0[.]0/,0.1/')",
             "points are not"),
            ('[ "$4" != drift ] || { "$real" "$@" | sed s/:0.4/:0.5/; exit; }', "by hand"),
            ('[[ $4 != nearest || $* != *--at* ]] || set -- "${@/1850/1860}"',
             "comparing every point"),
            ('[[ $* != *--svg* ]] || { : >"${@: -1}"; exit; }', "not whole")):
        code, out, err = _demo(place, command=_pretender(place, f'if [ "$3" = temporal ]; then '
                                                                f'{before}; fi'))
        same(code, 1, (before, out))
        has(err, part)


def answers_that_are_lost_or_changed_are_found_out(place):
    for before, part in (
            ('[ "$4" != put ] || set -- "${@/%questions.npy:1/questions.npy:2}"', "not found"),
            ('[ "$4" != lookup ] || { "$real" "$@" | sed s/Mexico/Oregon/; exit; }', "another"),
            ('[ "$4" != lookup ] || set -- "${@/questions.npy:13/questions.npy:1}"', "is none")):
        code, out, err = _demo(place, command=_pretender(place, f'if [ "$3" = cache ]; then '
                                                                f'{before}; fi'))
        same(code, 1, (before, out))
        has(err, part)


def it_runs_again_in_its_own_directory_and_in_no_other(place):
    mine = place.folder / "mine"
    mine.mkdir()
    (mine / "letter").write_text("keep")
    code, _, err = _demo(place, str(mine))
    same(code, 1)
    has(err, "not from an earlier demo")
    same(os.listdir(mine), ["letter"])
    for _ in range(2):
        code, _, err = _demo(place, str(place.folder / "other"))
        same((code, err), (0, ""))


def passages_that_are_lost_are_found_out(place):
    for n_lost in (1, 6, 60):
        losing = 'for a; do [ "$a" != count ] || "$real" -d "$2" delete speeches ' \
                 f'$("$real" -d "$2" list speeches --limit {n_lost} | cut -d\\" -f4) >&2; done'
        code, out, err = _demo(place, command=_pretender(place, losing))
        same(code, 1, out)
        has(err, "demo: ")


def another_text_and_another_vector_are_found_out(place):
    for change, what in (("s/public credit/private credit/", "texts are not"),
                         ('s/"vector_base64":"./"vector_base64":"B/', "vectors are not")):
        command = _pretender(place, 'for a; do [ "$a" != get ] || '
                             f"{{ \"$real\" \"$@\" | sed '7{change}; 1{change}'; exit; }}; done")
        code, _, err = _demo(place, command=command)
        same(code, 1)
        has(err, what)


def a_writer_that_fails_is_no_success(place):
    for before in ("exit 1", "echo '{\"count\":6,\"lsn\":1}'; exit 0"):
        command = _pretender(place, f'for a; do [ "$a" != - ] || {{ {before}; }}; done')
        code, _, err = _demo(place, command=command)
        same(code, 1)
        has(err, "not killed")
    code, _, err = _demo(place, command=_pretender(place, "exit 1"))
    same(code, 1)
    has(err, "demo: ")


def a_checkpoint_that_writes_nothing_or_loses_something_is_found_out(place):
    nothing = 'for a; do [ "$a" != checkpoint ] || { echo \'{"checkpoint_lsn":1}\'; exit; }; done'
    code, _, err = _demo(place, command=_pretender(place, nothing))
    same(code, 1)
    has(err, "segments have 0 rows")
    losing = 'for a; do [ "$a" != checkpoint ] || "$real" -d "$2" delete speeches ' \
             '1790_george_washington-001 >&2; done'
    code, _, err = _demo(place, command=_pretender(place, losing))
    same(code, 1)
    has(err, "demo: ")


def a_search_that_leaves_out_the_best_is_found_out(place):
    for change, part in (("s/ -k 2 / -k 2 --offset 1 /", "has not found what comparing"),
                         ("s/ -k 2 / -k 1 /", "not found two passages")):
        worse = f'[[ $3 != search || $* == *--full-scan* ]] || set -- $(sed "{change}" <<<"$*")'
        code, _, err = _demo(place, command=_pretender(place, worse))
        same(code, 1)
        has(err, part)


if __name__ == "__main__":
    main()
