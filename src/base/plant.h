/*
 * plant.h - deliberate faults, to prove that the crash simulator finds such faults; and places
 * where tests step in.
 *
 * Each planted fault is one condition in the code that owns the promise it breaks. Only the
 * library built with -DMNI_PLANTED_FAULTS can have one; it reads its name from the environment
 * variable MNEME_PLANTED_FAULT at start-up, so the simulator that links it cannot know which.
 */
#ifndef MNI_BASE_PLANT_H
#define MNI_BASE_PLANT_H

#ifdef MNI_PLANTED_FAULTS
#include <stdbool.h>
bool mni_planted(const char *name);
#define MNI_PLANTED(name) mni_planted(name)
#else
#define MNI_PLANTED(name) 0
#endif

/*
 * A place in the library that the tests link at which a test may do something, as if another thread
 * had: what mni_test_point_set names happens once, at the next passing. For one thread.
 */
void mni_test_point_set(const char *name, void (*run)(void *context), void *context);
#ifdef MNI_TEST_HOOKS
void mni_test_point(const char *name);
#define MNI_TEST_POINT(name) mni_test_point(name)
#else
#define MNI_TEST_POINT(name) ((void)0)
#endif

#endif
