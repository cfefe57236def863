/*
 * plant.h - deliberate faults, to prove that the crash simulator finds such faults.
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

#endif
