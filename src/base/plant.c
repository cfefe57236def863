/*
 * plant.c - which planted fault is on. Compiled into one test library only.
 *
 * Owns:    the name, set before main and never changed.
 * Threads: any.
 * Fails:   never.
 */
#include "base/plant.h"

#ifdef MNI_PLANTED_FAULTS
#include <stdlib.h>
#include <string.h>

static const char *planted_name;

__attribute__((constructor)) static void read_planted_name(void)
{
    planted_name = getenv("MNEME_PLANTED_FAULT");
}

bool mni_planted(const char *name)
{
    return planted_name != NULL && strcmp(planted_name, name) == 0;
}
#else
typedef int mni_plant_is_empty;
#endif

#ifdef MNI_TEST_HOOKS
#include <string.h>

static const char *point_name; /* NULL: nothing is to be done */
static void (*point_run)(void *context);
static void *point_context;

void mni_test_point_set(const char *name, void (*run)(void *context), void *context)
{
    point_name = name;
    point_run = run;
    point_context = context;
}

void mni_test_point(const char *name)
{
    if (point_name == NULL || strcmp(point_name, name) != 0)
        return;
    point_name = NULL;
    point_run(point_context);
}
#endif
