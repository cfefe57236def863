/*
 * thread.c - POSIX threads and locks, waiting on a word, and noticing a fork.
 *
 * Owns:    the page of each fork guard.
 * Threads: that is its purpose; see thread.h.
 * Fails:   starting a thread and making a guard; a lock that fails is a bug of ours.
 */
#define _GNU_SOURCE
#include "io/thread.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

static_assert(sizeof(atomic_uint) == 4, "the kernel waits on 32 bits");

/* Locks ------------------------------------------------------------------------------------------
 */

void mni_mutex_init(struct mni_mutex *mutex)
{
    int rc = pthread_mutex_init(&mutex->pthread, NULL);
    MNI_CHECK(rc == 0);
}

void mni_mutex_done(struct mni_mutex *mutex)
{
    int rc = pthread_mutex_destroy(&mutex->pthread);
    MNI_CHECK(rc == 0);
}

void mni_mutex_lock(struct mni_mutex *mutex)
{
    int rc = pthread_mutex_lock(&mutex->pthread);
    MNI_CHECK(rc == 0);
}

bool mni_mutex_try_lock(struct mni_mutex *mutex)
{
    int rc = pthread_mutex_trylock(&mutex->pthread);
    MNI_CHECK(rc == 0 || rc == EBUSY);
    return rc == 0;
}

void mni_mutex_unlock(struct mni_mutex *mutex)
{
    int rc = pthread_mutex_unlock(&mutex->pthread);
    MNI_CHECK(rc == 0);
}

#define RWLOCK_WRITER (1U << 31)

void mni_rwlock_init(struct mni_rwlock *lock)
{
    atomic_init(&lock->state, 0);
    atomic_init(&lock->n_sleepers, 0);
    mni_mutex_init(&lock->writers);
    atomic_init(&lock->n_waited, 0);
    atomic_init(&lock->n_passed, 0);
    atomic_init(&lock->n_yielders, 0);
}

void mni_rwlock_done(struct mni_rwlock *lock)
{
    MNI_CHECK(atomic_load(&lock->state) == 0);
    mni_mutex_done(&lock->writers);
}

/* Sleeps while the state is `state`. Whoever changes it looks at n_sleepers afterwards: both sides
 * are sequentially consistent, so one of them sees the other. */
static void sleep_on(struct mni_rwlock *lock, unsigned state)
{
    atomic_fetch_add(&lock->n_sleepers, 1);
    mni_word_wait(&lock->state, state);
    atomic_fetch_sub(&lock->n_sleepers, 1);
}

static void wake_sleepers(struct mni_rwlock *lock)
{
    if (atomic_load(&lock->n_sleepers) > 0)
        mni_word_wake_all(&lock->state);
}

/* Whoever has waited has the lock. */
static void note_passed(struct mni_rwlock *lock)
{
    atomic_fetch_add(&lock->n_passed, 1);
    if (atomic_load(&lock->n_yielders) > 0)
        mni_word_wake_all(&lock->n_passed);
}

static bool try_read(struct mni_rwlock *lock, unsigned *state)
{
    while ((*state & RWLOCK_WRITER) == 0)
        if (atomic_compare_exchange_weak_explicit(&lock->state, state, *state + 1,
                                                  memory_order_acquire, memory_order_relaxed))
            return true;
    return false;
}

/* Not inlined: most readers do not wait. */
__attribute__((noinline)) static void wait_to_read(struct mni_rwlock *lock, unsigned state)
{
    atomic_fetch_add(&lock->n_waited, 1);
    do {
        sleep_on(lock, state);
        state = atomic_load_explicit(&lock->state, memory_order_relaxed);
    } while (!try_read(lock, &state));
    note_passed(lock);
}

void mni_rwlock_read(struct mni_rwlock *lock)
{
    unsigned state = atomic_load_explicit(&lock->state, memory_order_relaxed);

    if (!try_read(lock, &state))
        wait_to_read(lock, state);
}

void mni_rwlock_write(struct mni_rwlock *lock)
{
    bool waits = !mni_mutex_try_lock(&lock->writers);

    if (waits) {
        atomic_fetch_add(&lock->n_waited, 1);
        mni_mutex_lock(&lock->writers);
    }
    unsigned state = atomic_fetch_or_explicit(&lock->state, RWLOCK_WRITER, memory_order_acquire);
    MNI_CHECK((state & RWLOCK_WRITER) == 0);
    state |= RWLOCK_WRITER;
    while (state != RWLOCK_WRITER) {
        sleep_on(lock, state);
        state = atomic_load_explicit(&lock->state, memory_order_acquire);
    }
    if (waits)
        note_passed(lock);
}

void mni_rwlock_yield(struct mni_rwlock *lock)
{
    unsigned n_waited = atomic_load(&lock->n_waited);
    unsigned n_passed = atomic_load(&lock->n_passed);

    if (n_waited - n_passed - 1 > INT_MAX) /* as many have passed, or more */
        return;
    atomic_fetch_add(&lock->n_yielders, 1);
    for (;;) {
        n_passed = atomic_load(&lock->n_passed);
        if (n_waited - n_passed - 1 > INT_MAX)
            break;
        mni_word_wait(&lock->n_passed, n_passed);
    }
    atomic_fetch_sub(&lock->n_yielders, 1);
}

void mni_rwlock_unlock(struct mni_rwlock *lock)
{
    unsigned state = atomic_load_explicit(&lock->state, memory_order_relaxed);

    /* A reader that holds the lock counts, so the bit alone says that a writer holds it. */
    if (state == RWLOCK_WRITER) {
        atomic_store(&lock->state, 0);
        wake_sleepers(lock);
        mni_mutex_unlock(&lock->writers);
        return;
    }
    state = atomic_fetch_sub(&lock->state, 1);
    MNI_CHECK((state & ~RWLOCK_WRITER) > 0);
    if (state == (RWLOCK_WRITER | 1)) /* the last one before the writer */
        wake_sleepers(lock);
}

/* Conditions -------------------------------------------------------------------------------------
 */

void mni_cond_init(struct mni_cond *cond)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);
    MNI_CHECK(rc == 0);
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    MNI_CHECK(rc == 0);
    rc = pthread_cond_init(&cond->pthread, &attr);
    MNI_CHECK(rc == 0);
    (void)pthread_condattr_destroy(&attr);
}

void mni_cond_done(struct mni_cond *cond)
{
    int rc = pthread_cond_destroy(&cond->pthread);
    MNI_CHECK(rc == 0);
}

void mni_cond_wait(struct mni_cond *cond, struct mni_mutex *mutex)
{
    int rc = pthread_cond_wait(&cond->pthread, &mutex->pthread);
    MNI_CHECK(rc == 0);
}

bool mni_cond_wait_for(struct mni_cond *cond, struct mni_mutex *mutex, int64_t timeout_us)
{
    static const int64_t far_us = INT64_C(1000000) * 60 * 60 * 24 * 365; /* keeps sums in range */
    struct timespec until;
    int rc = clock_gettime(CLOCK_MONOTONIC, &until);
    MNI_CHECK(rc == 0);

    if (timeout_us < 0)
        timeout_us = 0;
    if (timeout_us > far_us)
        timeout_us = far_us;
    int64_t ns = until.tv_nsec + timeout_us % 1000000 * 1000;
    until.tv_sec += (time_t)(timeout_us / 1000000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);

    rc = pthread_cond_timedwait(&cond->pthread, &mutex->pthread, &until);
    MNI_CHECK(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

void mni_cond_signal(struct mni_cond *cond)
{
    int rc = pthread_cond_signal(&cond->pthread);
    MNI_CHECK(rc == 0);
}

void mni_cond_broadcast(struct mni_cond *cond)
{
    int rc = pthread_cond_broadcast(&cond->pthread);
    MNI_CHECK(rc == 0);
}

/* Threads ----------------------------------------------------------------------------------------
 */

static void *run_thread(void *context)
{
    struct mni_thread *thread = context;

    thread->run(thread->context);
    return NULL;
}

mn_status mni_thread_start(struct mni_thread *thread, void (*run)(void *context), void *context,
                           struct mn_error *err)
{
    sigset_t all, before;

    thread->run = run;
    thread->context = context;
    /* The new thread inherits the mask: signals are for the threads of the program. */
    (void)sigfillset(&all);
    int rc = pthread_sigmask(SIG_SETMASK, &all, &before);
    MNI_CHECK(rc == 0);
    int os_errno = pthread_create(&thread->pthread, NULL, run_thread, thread);
    rc = pthread_sigmask(SIG_SETMASK, &before, NULL);
    MNI_CHECK(rc == 0);
    return os_errno == 0 ? MN_OK : mni_fail_os(err, os_errno, "start a thread");
}

void mni_thread_join(struct mni_thread *thread)
{
    int rc = pthread_join(thread->pthread, NULL);
    MNI_CHECK(rc == 0);
}

/* Words ------------------------------------------------------------------------------------------
 */

void mni_word_wait(atomic_uint *word, unsigned expected)
{
    if (atomic_load_explicit(word, memory_order_acquire) != expected)
        return;
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
    MNI_CHECK(rc == 0 || errno == EAGAIN || errno == EINTR);
}

static void wake(atomic_uint *word, int n_threads)
{
    long rc = syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n_threads, NULL, NULL, 0);
    /* EFAULT: whoever was to be woken has seen the word, gone, and freed it. That is legal, since
     * the word is set before its waiters are woken. */
    MNI_CHECK(rc >= 0 || errno == EFAULT);
}

void mni_word_wake_one(atomic_uint *word)
{
    wake(word, 1);
}

void mni_word_wake_all(atomic_uint *word)
{
    wake(word, INT_MAX);
}

/* Latches ----------------------------------------------------------------------------------------
 */

enum { LATCH_SPINS = 64 };

void mni_latch_wait(struct mni_latch *latch)
{
    /* Whoever has it is about to give it up, unless it was put off its processor. */
    for (int i = 0; i < LATCH_SPINS; i++) {
        unsigned expected = 0;
        if (atomic_load_explicit(&latch->state, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_weak_explicit(&latch->state, &expected, 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return;
    }
    while (atomic_exchange_explicit(&latch->state, 2, memory_order_acquire) != 0)
        mni_word_wait(&latch->state, 2);
}

void mni_latch_wake(struct mni_latch *latch)
{
    mni_word_wake_one(&latch->state);
}

/* Fork guard -------------------------------------------------------------------------------------
 */

/* Alone on a page that reads as zeroes in a child. */
struct mni_fork_guard {
    volatile unsigned is_maker;
};

static size_t page_bytes(void)
{
    long n = sysconf(_SC_PAGESIZE);
    MNI_CHECK(n > 0);
    return (size_t)n;
}

mn_status mni_fork_guard_new(struct mni_fork_guard **guard_out, struct mn_error *err)
{
    size_t n_bytes = page_bytes();
    struct mni_fork_guard *guard =
        mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    *guard_out = NULL;
    if (guard == MAP_FAILED)
        return mni_fail_os(err, errno, "map the fork guard");
    if (madvise(guard, n_bytes, MADV_WIPEONFORK) != 0) {
        int os_errno = errno;
        (void)munmap(guard, n_bytes);
        return mni_fail_os(err, os_errno, "set up the fork guard");
    }
    guard->is_maker = 1;
    *guard_out = guard;
    return MN_OK;
}

void mni_fork_guard_free(struct mni_fork_guard *guard)
{
    if (guard == NULL)
        return;
    int rc = munmap(guard, page_bytes());
    MNI_CHECK(rc == 0);
}

bool mni_fork_guard_is_child(const struct mni_fork_guard *guard)
{
    return guard->is_maker == 0;
}
