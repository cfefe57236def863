/*
 * object_suite.h - what object storage does, whatever stands behind it.
 *
 * A test program says how a store is opened and runs the suite against it:
 *
 *     int main(int argc, char **argv)
 *     {
 *         static const struct object_factory factory = {.suite = "object.memory", ...};
 *         return object_suite_run(&factory, argc, argv);
 *     }
 */
#ifndef TESTS_OBJECT_SUITE_H
#define TESTS_OBJECT_SUITE_H

#include "mneme/object.h"

struct object_factory {
    const char *suite;
    void *context;
    /* A store in which nothing is listed: for each test a new one, say by a new prefix. Checks that
     * it can be opened. The suite closes it. */
    mn_object_store *(*open_fresh)(void *context);
    /* A second handle on what open_fresh opened last, as another process would have it; NULL where
     * there is no such thing. */
    mn_object_store *(*open_again)(void *context);

    /* A request takes milliseconds: fewer of them, the same behaviours. */
    bool is_slow;
    /* Conditions on puts do not hold there; tests of them are left out. */
    bool has_no_conditions;
    /* Completing an upload cannot have a condition there. */
    bool has_no_conditions_of_uploads;
    /* Objects have a CRC-32C always, not just where the store has kept one. */
    bool has_crc32c_always;
    /* The longest key; 0 = MN_OBJECT_KEY_BYTES_MAX. */
    size_t key_bytes_max;
    /* Puts above this size go another way; 0 = none. */
    uint64_t part_bytes;
    /* Whether this key can be stored there; NULL = every valid one. */
    bool (*is_key_fit)(void *context, struct mn_slice key);
};

int object_suite_run(const struct object_factory *factory, int argc, char **argv);

#endif
