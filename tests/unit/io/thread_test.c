/* Tests of threads, locks, waiting and the fork guard. */
#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/thread.h"

enum { N_THREADS = 4, N_ROUNDS = 5000 };

static struct mn_error err;

static void pause_us(long us)
{
    struct timespec t = {us / 1000000, us % 1000000 * 1000};
    (void)nanosleep(&t, NULL);
}

static int64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Waits until a thread sleeps in the kernel and keeps doing so: nothing shorter tells that it has
 * arrived where it waits. */
static void wait_until_asleep(atomic_int *tid)
{
    int n_asleep = 0;

    while (n_asleep < 20) {
        char path[64], text[256] = "";
        pause_us(1000);
        if (atomic_load(tid) == 0)
            continue;
        (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", atomic_load(tid));
        FILE *f = fopen(path, "re");
        if (f == NULL)
            continue;
        size_t n = fread(text, 1, sizeof text - 1, f);
        (void)fclose(f);
        text[n] = '\0';
        const char *state = strrchr(text, ')');
        n_asleep = state != NULL && strncmp(state, ") S", 3) == 0 ? n_asleep + 1 : 0;
    }
}

static void start_all(struct mni_thread *threads, size_t n, void (*run)(void *), void *context)
{
    for (size_t i = 0; i < n; i++)
        CHECK_OK_ERR(mni_thread_start(&threads[i], run, context, &err), &err);
}

static void join_all(struct mni_thread *threads, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mni_thread_join(&threads[i]);
}

/* Threads ----------------------------------------------------------------------------------------
 */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SHADOW_MEMORY 1
#elif defined(__has_feature)
#define HAS_SHADOW_MEMORY (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define HAS_SHADOW_MEMORY 0
#endif

static void do_nothing(void *context)
{
    (void)context;
}

/* Runs first, in a child: stacks of threads that ended would be used again without asking. */
static void a_thread_that_cannot_start_is_an_error(void)
{
    int how;

    if (HAS_SHADOW_MEMORY) {
        printf("    skipped: no thread can start: sanitizers need the address space\n");
        return;
    }
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct rlimit none = {1 << 20, 1 << 20};
        struct mni_thread thread;
        sigset_t mask;
        if (setrlimit(RLIMIT_AS, &none) != 0)
            _exit(1);
        if (mni_thread_start(&thread, do_nothing, NULL, &err) == MN_OK)
            _exit(2);
        if (err.os_errno == 0 || strstr(err.message, "start a thread: ") == NULL)
            _exit(3);
        if (pthread_sigmask(SIG_SETMASK, NULL, &mask) != 0 || sigismember(&mask, SIGTERM) != 0)
            _exit(4);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &how, 0), child);
    CHECK(WIFEXITED(how));
    CHECK_EQ(WEXITSTATUS(how), 0);
}

static void note_mask(void *context)
{
    (void)pthread_sigmask(SIG_SETMASK, NULL, context);
}

static void signals_stay_with_the_program(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGALRM, SIGCHLD, SIGUSR1, SIGPIPE, SIGPROF};
    struct mni_thread thread;
    sigset_t inside, after;

    (void)sigemptyset(&inside);
    start_all(&thread, 1, note_mask, &inside);
    mni_thread_join(&thread);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    for (size_t i = 0; i < CHECK_COUNT(signals); i++) {
        CHECK_EQ(sigismember(&inside, signals[i]), 1);
        CHECK_EQ(sigismember(&after, signals[i]), 0);
    }
}

/* Locks ------------------------------------------------------------------------------------------
 */

struct shared {
    struct mni_mutex mutex;
    struct mni_latch latch;
    struct mni_rwlock lock;
    struct mni_cond cond;
    long counter; /* guarded by what the test is about */
    long mirror;
    atomic_int n_wrong;
    atomic_int tid;
    atomic_uint word;
    atomic_int n_woken;
    bool is_set;
};

static void init_shared(struct shared *s)
{
    memset(s, 0, sizeof *s);
    mni_mutex_init(&s->mutex);
    mni_rwlock_init(&s->lock);
    mni_cond_init(&s->cond);
}

static void done_shared(struct shared *s)
{
    mni_cond_done(&s->cond);
    mni_rwlock_done(&s->lock);
    mni_mutex_done(&s->mutex);
}

static void count_under_mutex(void *context)
{
    struct shared *s = context;

    for (int i = 0; i < N_ROUNDS; i++) {
        mni_mutex_lock(&s->mutex);
        s->counter++;
        mni_mutex_unlock(&s->mutex);
    }
}

static void a_mutex_lets_one_thread_in(void)
{
    struct shared s;
    struct mni_thread threads[N_THREADS];

    init_shared(&s);
    start_all(threads, N_THREADS, count_under_mutex, &s);
    join_all(threads, N_THREADS);
    CHECK_EQ(s.counter, N_THREADS * N_ROUNDS);
    done_shared(&s);
}

static void count_under_latch(void *context)
{
    struct shared *s = context;

    for (int i = 0; i < N_ROUNDS; i++) {
        mni_latch_lock(&s->latch);
        s->counter++;
        if (i % 1000 == 0)
            pause_us(100); /* the others have to sleep */
        mni_latch_unlock(&s->latch);
    }
}

static void a_latch_lets_one_thread_in(void)
{
    struct shared s;
    struct mni_thread threads[N_THREADS];

    init_shared(&s);
    start_all(threads, N_THREADS, count_under_latch, &s);
    join_all(threads, N_THREADS);
    CHECK_EQ(s.counter, N_THREADS * N_ROUNDS);
    CHECK_EQ(atomic_load(&s.latch.state), 0);
    done_shared(&s);
}

static void write_pairs(void *context)
{
    struct shared *s = context;

    for (int i = 0; i < N_ROUNDS; i++) {
        mni_rwlock_write(&s->lock);
        s->counter++;
        s->mirror = -s->counter;
        mni_rwlock_unlock(&s->lock);
    }
}

static void read_pairs(void *context)
{
    struct shared *s = context;

    for (int i = 0; i < N_ROUNDS; i++) {
        mni_rwlock_read(&s->lock);
        if (s->mirror != -s->counter)
            atomic_fetch_add(&s->n_wrong, 1);
        mni_rwlock_unlock(&s->lock);
    }
}

static void readers_never_see_a_writer_half_way(void)
{
    struct shared s;
    struct mni_thread writers[2], readers[2];

    init_shared(&s);
    start_all(writers, 2, write_pairs, &s);
    start_all(readers, 2, read_pairs, &s);
    join_all(writers, 2);
    join_all(readers, 2);
    CHECK_EQ(s.counter, 2 * N_ROUNDS);
    CHECK_EQ(atomic_load(&s.n_wrong), 0);
    done_shared(&s);
}

static void write_once(void *context)
{
    struct shared *s = context;

    atomic_store(&s->tid, (int)gettid());
    mni_rwlock_write(&s->lock);
    s->counter++;
    mni_rwlock_unlock(&s->lock);
}

/* Notes what it read, in n_wrong, which the writer before it has changed to 1 or not. */
static void read_once(void *context)
{
    struct shared *s = context;

    atomic_store(&s->tid, (int)gettid());
    mni_rwlock_read(&s->lock);
    atomic_store(&s->n_wrong, (int)s->counter);
    mni_rwlock_unlock(&s->lock);
}

static void a_waiting_writer_goes_before_new_readers(void)
{
    struct shared s;
    struct mni_thread writer;
    struct mni_thread reader;

    init_shared(&s);
    mni_rwlock_read(&s.lock);
    mni_rwlock_read(&s.lock); /* readers share it */
    mni_rwlock_unlock(&s.lock);
    start_all(&writer, 1, write_once, &s);
    wait_until_asleep(&s.tid);
    atomic_store(&s.tid, 0);
    start_all(&reader, 1, read_once, &s);
    wait_until_asleep(&s.tid);
    mni_rwlock_unlock(&s.lock);
    mni_thread_join(&writer);
    mni_thread_join(&reader);
    CHECK_EQ(s.counter, 1);
    CHECK_EQ(atomic_load(&s.n_wrong), 1);
    done_shared(&s);
}

static void read_and_say_so(void *context)
{
    struct shared *s = context;

    atomic_store(&s->tid, (int)gettid());
    mni_rwlock_read(&s->lock);
    atomic_fetch_add(&s->n_woken, 1);
    mni_rwlock_unlock(&s->lock);
}

/* Who sleeps while a writer unlocks and locks again at once finds the lock taken when it wakes. */
static void a_writer_that_yields_lets_those_in_who_wait(void)
{
    for (int i = 0; i < 50; i++) {
        struct shared s;
        struct mni_thread reader;
        struct mni_thread writer;
        init_shared(&s);
        mni_rwlock_yield(&s.lock); /* nobody waits */
        mni_rwlock_write(&s.lock);
        start_all(&reader, 1, read_and_say_so, &s);
        wait_until_asleep(&s.tid);
        atomic_store(&s.tid, 0);
        start_all(&writer, 1, write_once, &s);
        wait_until_asleep(&s.tid);
        mni_rwlock_unlock(&s.lock);
        mni_rwlock_yield(&s.lock);
        mni_rwlock_write(&s.lock);
        int n_woken = atomic_load(&s.n_woken);
        long counter = s.counter;
        mni_rwlock_unlock(&s.lock);
        mni_thread_join(&reader);
        mni_thread_join(&writer);
        CHECK_EQ(n_woken, 1);
        CHECK_EQ(counter, 1);
        done_shared(&s);
    }
}

/* Conditions -------------------------------------------------------------------------------------
 */

static void a_wait_ends_when_its_time_is_over(void)
{
    struct shared s;

    init_shared(&s);
    mni_mutex_lock(&s.mutex);
    int64_t start_us = now_us();
    while (mni_cond_wait_for(&s.cond, &s.mutex, 20000)) /* it may wake for no reason */
        start_us = now_us();
    CHECK(now_us() - start_us >= 20000);
    /* Nanoseconds that carry over into the next second. */
    start_us = now_us();
    while (mni_cond_wait_for(&s.cond, &s.mutex, 999999))
        start_us = now_us();
    CHECK(now_us() - start_us >= 999999);
    while (mni_cond_wait_for(&s.cond, &s.mutex, 0))
        ;
    while (mni_cond_wait_for(&s.cond, &s.mutex, INT64_MIN))
        ;
    mni_mutex_unlock(&s.mutex);
    done_shared(&s);
}

static void set_and_signal(void *context)
{
    struct shared *s = context;

    mni_mutex_lock(&s->mutex);
    s->is_set = true;
    mni_cond_signal(&s->cond);
    mni_mutex_unlock(&s->mutex);
}

static void a_signal_ends_even_the_longest_wait(void)
{
    struct shared s;
    struct mni_thread thread;
    bool was_in_time = true;

    init_shared(&s);
    mni_mutex_lock(&s.mutex);
    start_all(&thread, 1, set_and_signal, &s);
    while (!s.is_set && was_in_time)
        was_in_time = mni_cond_wait_for(&s.cond, &s.mutex, INT64_MAX);
    mni_mutex_unlock(&s.mutex);
    mni_thread_join(&thread);
    CHECK(was_in_time && s.is_set);
    done_shared(&s);
}

static void wait_for_set(void *context)
{
    struct shared *s = context;

    mni_mutex_lock(&s->mutex);
    s->counter++;
    while (!s->is_set)
        mni_cond_wait(&s->cond, &s->mutex);
    mni_mutex_unlock(&s->mutex);
}

static void a_broadcast_wakes_all(void)
{
    struct shared s;
    struct mni_thread threads[N_THREADS];
    bool all_wait = false;

    init_shared(&s);
    start_all(threads, N_THREADS, wait_for_set, &s);
    while (!all_wait) {
        mni_mutex_lock(&s.mutex);
        all_wait = s.counter == N_THREADS;
        s.is_set = all_wait;
        if (all_wait)
            mni_cond_broadcast(&s.cond);
        mni_mutex_unlock(&s.mutex);
    }
    join_all(threads, N_THREADS);
    done_shared(&s);
}

/* Words ------------------------------------------------------------------------------------------
 */

static void await(atomic_uint *word, unsigned value)
{
    unsigned seen;

    while ((seen = atomic_load(word)) != value)
        mni_word_wait(word, seen);
}

/* Even values belong to the main thread, odd ones to the other; `counter` is whose turn it is. */
static void answer(void *context)
{
    struct shared *s = context;

    for (unsigned i = 0; i < N_ROUNDS; i++) {
        await(&s->word, 2 * i + 1);
        s->counter++;
        atomic_store(&s->word, 2 * i + 2);
        mni_word_wake_one(&s->word);
    }
}

static void two_threads_take_turns_on_a_word(void)
{
    struct shared s;
    struct mni_thread thread;

    init_shared(&s);
    start_all(&thread, 1, answer, &s);
    for (unsigned i = 0; i < N_ROUNDS; i++) {
        s.counter++;
        atomic_store(&s.word, 2 * i + 1);
        mni_word_wake_one(&s.word);
        await(&s.word, 2 * i + 2);
    }
    mni_thread_join(&thread);
    CHECK_EQ(s.counter, 2 * N_ROUNDS);
    mni_word_wait(&s.word, 0);  /* another value already: returns at once */
    mni_word_wake_all(&s.word); /* nobody waits */
    done_shared(&s);
}

static void wait_for_word(void *context)
{
    struct shared *s = context;

    await(&s->word, 1);
    atomic_fetch_add(&s->n_woken, 1);
}

static void waking_all_wakes_all(void)
{
    struct shared s;
    struct mni_thread threads[N_THREADS];

    init_shared(&s);
    start_all(threads, N_THREADS, wait_for_word, &s);
    pause_us(5000); /* so that most of them sleep; right without it, too */
    CHECK_EQ(atomic_load(&s.n_woken), 0);
    atomic_store(&s.word, 1);
    mni_word_wake_all(&s.word);
    join_all(threads, N_THREADS);
    CHECK_EQ(atomic_load(&s.n_woken), N_THREADS);
    done_shared(&s);
}

static void wait_as_sleeper(void *context)
{
    struct shared *s = context;

    atomic_store(&s->tid, (int)gettid());
    await(&s->word, 1);
}

static void a_waiter_sleeps_and_is_woken_by_one(void)
{
    struct shared s;
    struct mni_thread thread;

    init_shared(&s);
    start_all(&thread, 1, wait_as_sleeper, &s);
    wait_until_asleep(&s.tid); /* hangs if waiting were spinning */
    atomic_store(&s.word, 1);
    mni_word_wake_one(&s.word);
    mni_thread_join(&thread);
    done_shared(&s);
}

/* Fork guard -------------------------------------------------------------------------------------
 */

static int child_answer(const struct mni_fork_guard *guard)
{
    if (!mni_fork_guard_is_child(guard))
        return 1;
    int how;
    pid_t grandchild = fork();
    if (grandchild == 0)
        _exit(mni_fork_guard_is_child(guard) ? 0 : 1);
    if (grandchild < 0 || waitpid(grandchild, &how, 0) != grandchild)
        return 2;
    return WIFEXITED(how) && WEXITSTATUS(how) == 0 ? 0 : 3;
}

static void a_fork_is_noticed_in_the_child_alone(void)
{
    struct mni_fork_guard *guard = NULL;
    int how;

    CHECK_OK_ERR(mni_fork_guard_new(&guard, &err), &err);
    CHECK(!mni_fork_guard_is_child(guard));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int answer_code = child_answer(guard);
        mni_fork_guard_free(guard);
        _exit(answer_code);
    }
    CHECK_EQ(waitpid(child, &how, 0), child);
    CHECK(WIFEXITED(how));
    CHECK_EQ(WEXITSTATUS(how), 0);
    CHECK(!mni_fork_guard_is_child(guard));
    mni_fork_guard_free(guard);
    mni_fork_guard_free(NULL);
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_thread_that_cannot_start_is_an_error),
        CHECK_TEST(signals_stay_with_the_program),
        CHECK_TEST(a_mutex_lets_one_thread_in),
        CHECK_TEST(a_latch_lets_one_thread_in),
        CHECK_TEST(readers_never_see_a_writer_half_way),
        CHECK_TEST(a_waiting_writer_goes_before_new_readers),
        CHECK_TEST(a_writer_that_yields_lets_those_in_who_wait),
        CHECK_TEST(a_wait_ends_when_its_time_is_over),
        CHECK_TEST(a_signal_ends_even_the_longest_wait),
        CHECK_TEST(a_broadcast_wakes_all),
        CHECK_TEST(two_threads_take_turns_on_a_word),
        CHECK_TEST(waking_all_wakes_all),
        CHECK_TEST(a_waiter_sleeps_and_is_woken_by_one),
        CHECK_TEST(a_fork_is_noticed_in_the_child_alone),
    };
    return check_run("io.thread", tests, CHECK_COUNT(tests), argc, argv);
}
