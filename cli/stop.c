/*
 * stop.c - Ctrl-C: SIGINT and SIGTERM.
 *
 * Owns:    the handlers of both signals and the pipe that wakes a waiting read.
 * Threads: signals may arrive on any, and any may ask stop_asked(); the rest belongs to the main
 *          one.
 * Fails:   stop_init says so; waiting cannot fail.
 */
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exit_codes.h"

enum { LAST_WORDS_BYTES = 4096 };

static atomic_bool is_asked; /* threads of a search look at it, too */
static volatile sig_atomic_t is_gentle;
/* A signal between a look at `is_asked` and a blocking read would go unseen; a byte in this pipe
 * does not. */
static int wake_pipe[2] = {-1, -1};
/* What is said at the end; a line of its own also behind the "^C" on a terminal. Set while a signal
 * ends nothing yet, or before there is anything to say. */
static char last_words[LAST_WORDS_BYTES] = "mneme: stopped\n";
static bool is_terminal;
static const char *volatile removed_path;

static void end_now(void)
{
    const char *path = removed_path;

    if (path != NULL)
        (void)unlink(path);
    ssize_t n = is_terminal ? write(STDERR_FILENO, "\n", 1) : 0;

    n = write(STDERR_FILENO, last_words, strlen(last_words));
    (void)n; /* who closed it does not want to know */
    _exit(EXIT_CODE_STOPPED);
}

static void on_signal(int signal_number)
{
    int saved_errno = errno;

    (void)signal_number;
    if (!is_gentle)
        end_now();
    atomic_store(&is_asked, true);
    ssize_t n = write(wake_pipe[1], "", 1);
    (void)n; /* a full pipe wakes as well */
    errno = saved_errno;
}

bool stop_init(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    is_terminal = isatty(STDERR_FILENO) != 0;
    if (pipe(wake_pipe) != 0)
        return false;
    for (int i = 0; i < 2; i++) {
        if (fcntl(wake_pipe[i], F_SETFL, O_NONBLOCK) != 0 ||
            fcntl(wake_pipe[i], F_SETFD, FD_CLOEXEC) != 0)
            return false;
    }
    (void)sigemptyset(&action.sa_mask);
    (void)sigemptyset(&ignore.sa_mask);
    /* A closed pipe shows as EPIPE where it is written to, a limit on file sizes as EFBIG. */
    return sigaction(SIGINT, &action, NULL) == 0 && sigaction(SIGTERM, &action, NULL) == 0 &&
           sigaction(SIGPIPE, &ignore, NULL) == 0 && sigaction(SIGXFSZ, &ignore, NULL) == 0;
}

void stop_says(const char *what)
{
    stop_gently();
    (void)snprintf(last_words, sizeof last_words, "mneme: stopped; %s\n", what);
    stop_at_once();
}

void stop_removes(const char *path)
{
    removed_path = path;
}

void stop_gently(void)
{
    is_gentle = 1;
}

void stop_at_once(void)
{
    is_gentle = 0;
    if (stop_asked())
        end_now();
}

bool stop_asked(void)
{
    return atomic_load(&is_asked);
}

bool stop_wait_input(int fd)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = wake_pipe[0], .events = POLLIN}};

    while (!stop_asked()) {
        int n = poll(fds, 2, -1);
        if (n < 0 && errno != EINTR)
            return true; /* the read will say what is wrong */
        if (n > 0 && fds[0].revents != 0 && !stop_asked())
            return true;
    }
    return false;
}
