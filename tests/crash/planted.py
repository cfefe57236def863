#!/usr/bin/env python3
"""Every planted fault is found by the ordinary random histories, and nothing without one. Those of
pools of snapshots, of restoring, and of keeping the log are found by the stories of these.

usage: planted.py CRASH_SIM_PLANTED CRASH_POOL_PLANTED CRASH_RESTORE_PLANTED CRASH_ARCHIVE_PLANTED
                  ROOT
"""
import os
import pathlib
import re
import subprocess
import sys
import time

SECONDS = 30
FAULTS = {
    "ack_before_sync",
    "cache_evicts_before_it_stores",
    "cache_refuses_at_once",
    "cache_replaced_key_kept",
    "close_without_sync",
    "crc_of_first_sector",
    "deletes_not_carried",
    "expiry_lost_in_replay",
    "follower_acked_after_failed_sync",
    "half_a_batch",
    "liveness_forgotten",
    "liveness_not_synced",
    "log_trimmed_before_manifest",
    "manifest_name_not_synced",
    "manifest_not_synced",
    "mask_lost_in_merge",
    "no_directory_sync",
    "no_directory_sync_in_recovery",
    "no_salt",
    "old_manifest_removed_first",
    "rename_before_sync",
    "replayed_twice",
    "retried_sync",
    "reused_lsn",
    "root_ahead_of_log",
    "row_alive_in_two_places",
    "seg_directory_not_synced",
    "segment_not_synced",
    "stale_liveness_generation",
    "store_file_not_synced",
    "tail_appended_behind_garbage",
    "tombstone_forgotten",
    "trims_one_file_too_far",
    "visible_rollback",
}
POOL_FAULTS = {
    "bare_keeps_all",
    "bare_live_not_synced",
    "pool_copy_not_checked",
    "pool_copy_not_synced",
    "pool_files_not_synced",
    "pool_files_removed_first",
    "pool_name_not_synced",
    "pool_parent_not_checked",
    "pool_published_first",
    "pool_shared_files_removed",
    "pool_snapshot_not_synced",
    "pool_undo_takes_all",
}
RESTORE_FAULTS = {
    "restore_log_first",
    "restore_reuses_lsns",
    "restore_settings_first",
    "restore_unmarked_early",
}
ARCHIVE_FAULTS = {
    "archive_copy_not_synced",
    "archive_not_synced",
    "restore_at_any_timeline",
}


def planted_in(root):
    """Names in the code of the library."""
    names = set()
    for path in (root / "src").rglob("*.c"):
        names.update(re.findall(r'MNI_PLANTED\("(\w+)"\)', path.read_text(encoding="utf-8")))
    return names


def run(command, fault):
    env = dict(os.environ)
    env.pop("MNEME_PLANTED_FAULT", None)
    if fault is not None:
        env["MNEME_PLANTED_FAULT"] = fault
    began = time.monotonic()
    done = subprocess.run(command, env=env, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - began


def count_wrong(faults, command, again):
    """Faults that are not found, told; `again` is part of a finding: without it the program failed
    for another reason."""
    n_wrong = 0
    for fault in sorted(faults):
        code, said, seconds = run(command, fault)
        is_found = code == 1 and again in said
        n_wrong += not is_found
        print(f"{fault}: {'found' if is_found else 'NOT FOUND'} in {seconds:.2f} s")
        if not is_found:
            print(said)
    return n_wrong


def count_false(command):
    code, said, _ = run(command, None)
    if code != 0:
        print(f"something is found without a fault:\n{said}")
    return code != 0


def main():
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    sim, pool, restore, archive, root = *sys.argv[1:5], pathlib.Path(sys.argv[5])
    known = FAULTS | POOL_FAULTS | RESTORE_FAULTS | ARCHIVE_FAULTS
    n_wrong = 0
    if planted_in(root) != known:
        n_wrong += 1
        print("the code plants other faults: "
              f"{sorted(planted_in(root) ^ known)}")
    n_wrong += count_wrong(POOL_FAULTS, [pool], "again: crash_pool --story ")
    n_wrong += count_false([pool])
    n_wrong += count_wrong(RESTORE_FAULTS, [restore], "again: crash_restore --story ")
    n_wrong += count_wrong(ARCHIVE_FAULTS, [archive], "again: crash_archive --story ")
    n_wrong += count_wrong(FAULTS, [sim, "--seconds", str(SECONDS)], "again: crash_sim --seed ")
    n_wrong += count_false([sim, "--seconds", "5"])
    sys.exit(1 if n_wrong > 0 else 0)


if __name__ == "__main__":
    main()
