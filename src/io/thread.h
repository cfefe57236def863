/*
 * thread.h - threads, locks and waiting.
 *
 * Lock order of the whole library: docs/internals/locks.md.
 */
#ifndef MNI_IO_THREAD_H
#define MNI_IO_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct mni_mutex {
    pthread_mutex_t pthread;
};

void mni_mutex_init(struct mni_mutex *mutex);
void mni_mutex_done(struct mni_mutex *mutex);
void mni_mutex_lock(struct mni_mutex *mutex);
bool mni_mutex_try_lock(struct mni_mutex *mutex); /* false: somebody has it */
void mni_mutex_unlock(struct mni_mutex *mutex);

/* A word that readers count themselves in and out of: one atomic step each, where the POSIX lock
 * takes several. */
struct mni_rwlock {
    atomic_uint state; /* readers, and RWLOCK_WRITER while one waits or holds it */
    atomic_uint n_sleepers;
    struct mni_mutex writers; /* one of them at a time */

    /* Those who could not have the lock at once; the difference waits for it now. */
    atomic_uint n_waited;
    atomic_uint n_passed; /* of them, those who have got it since */
    atomic_uint n_yielders;
};

/* Many readers or one writer; a waiting writer goes before new readers. */
void mni_rwlock_init(struct mni_rwlock *lock);
void mni_rwlock_done(struct mni_rwlock *lock);
void mni_rwlock_read(struct mni_rwlock *lock);
void mni_rwlock_write(struct mni_rwlock *lock);
void mni_rwlock_unlock(struct mni_rwlock *lock);
/* For one who does a long work in slices, between two of them and without the lock: waits until as
 * many have got it as wait for it now. A writer who locked again at once would shut them out: they
 * are still asleep then. */
void mni_rwlock_yield(struct mni_rwlock *lock);

/* Waits on the monotonic clock. */
struct mni_cond {
    pthread_cond_t pthread;
};

void mni_cond_init(struct mni_cond *cond);
void mni_cond_done(struct mni_cond *cond);
void mni_cond_wait(struct mni_cond *cond, struct mni_mutex *mutex);
/* False when `timeout_us` passed first. */
bool mni_cond_wait_for(struct mni_cond *cond, struct mni_mutex *mutex, int64_t timeout_us);
void mni_cond_signal(struct mni_cond *cond);
void mni_cond_broadcast(struct mni_cond *cond);

struct mni_thread {
    pthread_t pthread;
    void (*run)(void *context);
    void *context;
};

/* Starts a thread with all signals blocked. `thread` stays in place until it is joined. */
MN_MUST_USE mn_status mni_thread_start(struct mni_thread *thread, void (*run)(void *context),
                                       void *context, struct mn_error *err);
void mni_thread_join(struct mni_thread *thread);

#ifdef __has_builtin
#if __has_builtin(__builtin_thread_pointer)
#define MNI_HAS_THREAD_POINTER
#endif
#endif

/* A number for the calling thread, which its top bits tell from most others. */
static inline uint64_t mni_thread_hash(void)
{
#ifdef MNI_HAS_THREAD_POINTER
    uint64_t self = (uint64_t)(uintptr_t)__builtin_thread_pointer();
#else
    uint64_t self = (uint64_t)pthread_self();
#endif
    return self * UINT64_C(0x9e3779b97f4a7c15);
}

/* Sleeps until `*word` is no longer `expected`, or for no reason: the caller checks again. */
void mni_word_wait(atomic_uint *word, unsigned expected);
void mni_word_wake_one(atomic_uint *word);
void mni_word_wake_all(atomic_uint *word);

/* A mutex of one word, for what there are many of and is held for moments: it fits into the line of
 * what it guards, and taking it is one step where nobody has it. Zero is free. */
struct mni_latch {
    atomic_uint state; /* 0 free, 1 held, 2 held and somebody may sleep */
};
void mni_latch_wait(struct mni_latch *latch);
void mni_latch_wake(struct mni_latch *latch);

static inline void mni_latch_lock(struct mni_latch *latch)
{
    unsigned expected = 0;

    if (!atomic_compare_exchange_strong_explicit(&latch->state, &expected, 1, memory_order_acquire,
                                                 memory_order_relaxed))
        mni_latch_wait(latch);
}

/* False: somebody has it. */
static inline bool mni_latch_try_lock(struct mni_latch *latch)
{
    unsigned expected = 0;

    return atomic_compare_exchange_strong_explicit(&latch->state, &expected, 1,
                                                   memory_order_acquire, memory_order_relaxed);
}

static inline void mni_latch_unlock(struct mni_latch *latch)
{
    if (atomic_exchange_explicit(&latch->state, 0, memory_order_release) == 2)
        mni_latch_wake(latch);
}

/*
 * Tells whether this process is a fork of the one that made the guard: one load, no system call
 * (a page that the kernel clears in children, MADV_WIPEONFORK).
 */
struct mni_fork_guard;
MN_MUST_USE mn_status mni_fork_guard_new(struct mni_fork_guard **guard_out, struct mn_error *err);
void mni_fork_guard_free(struct mni_fork_guard *guard);
bool mni_fork_guard_is_child(const struct mni_fork_guard *guard);

#endif
