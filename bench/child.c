/*
 * child.c - a measurement in a process of its own, which may end as badly as it likes.
 *
 * Owns:    one child process at a time.
 * Threads: the caller has one: fork copies no others.
 * Fails:   by ending the program with a message.
 */
#define _GNU_SOURCE /* sched_setaffinity */
#include "child.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

/* The highest core: the first ones serve most interrupts. */
void bench_stay_on_one_core(void)
{
    cpu_set_t allowed;
    cpu_set_t one;
    int last = -1;

    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        bench_die("cannot read the cores: %s", strerror(errno));
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed))
            last = cpu;
    }
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        bench_die("cannot choose a core: %s", strerror(errno));
}

double bench_in_child(double (*run)(void *context), void *context, unsigned flags)
{
    int ends[2];
    double result = 0;
    int exit_status = 0;

    fflush(NULL); /* or the child would print it a second time */
    if (pipe(ends) != 0)
        bench_die("cannot make a pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0)
        bench_die("cannot fork: %s", strerror(errno));
    if (child == 0) {
        close(ends[0]);
        if ((flags & BENCH_ONE_CORE) != 0)
            bench_stay_on_one_core();
        result = run(context);
        if (write(ends[1], &result, sizeof result) != sizeof result)
            bench_die("cannot report: %s", strerror(errno));
        if ((flags & BENCH_KILL_SELF) != 0)
            kill(getpid(), SIGKILL);
        _exit(0);
    }
    close(ends[1]);
    ssize_t n_read = read(ends[0], &result, sizeof result);
    close(ends[0]);
    if (waitpid(child, &exit_status, 0) != child)
        bench_die("cannot wait: %s", strerror(errno));
    if (n_read != sizeof result)
        bench_die("a measurement failed");
    return result;
}

void *bench_shared_new(size_t n_bytes)
{
    void *memory = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        bench_die("out of memory: %zu bytes", n_bytes);
    return memory;
}

void bench_shared_free(void *memory, size_t n_bytes)
{
    munmap(memory, n_bytes);
}

/* The number behind a name in a file of the kernel. */
static double read_number(const char *path, const char *name)
{
    char line[256];
    size_t n = strlen(name);
    unsigned long long value = 0;
    bool is_found = false;
    FILE *file = fopen(path, "r");

    if (file == NULL)
        bench_die("cannot read %s: %s", path, strerror(errno));
    while (!is_found && fgets(line, sizeof line, file) != NULL)
        is_found = strncmp(line, name, n) == 0 && line[n] == ':' &&
                   sscanf(line + n + 1, "%llu", &value) == 1;
    fclose(file);
    if (!is_found)
        bench_die("%s has no %s", path, name);
    return (double)value;
}

double bench_resident_bytes(void)
{
    return read_number("/proc/self/status", "VmRSS") * 1024;
}

double bench_anonymous_bytes(void)
{
    return read_number("/proc/self/status", "RssAnon") * 1024;
}

/* Pages that were dropped before they were written back, with their file, were never sent. */
double bench_written_bytes(void)
{
    return read_number("/proc/self/io", "write_bytes") -
           read_number("/proc/self/io", "cancelled_write_bytes");
}
