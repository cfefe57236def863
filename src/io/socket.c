/*
 * socket.c - what libcurl does not do with sockets.
 *
 * Owns:    nothing.
 * Threads: any.
 * Fails:   as the outputs say; whoever asks goes on without an answer.
 */
#include "io/socket.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int mni_socket_open(int family, int type, int protocol)
{
    return socket(family, type | SOCK_CLOEXEC, protocol);
}

int mni_socket_close(int s)
{
    return close(s);
}

uint16_t mni_socket_port(int s)
{
    struct sockaddr_storage address = {0};
    socklen_t n_bytes = sizeof address;

    if (getsockname(s, (struct sockaddr *)&address, &n_bytes) != 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&address)->sin_port);
    if (address.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&address)->sin6_port);
    return 0;
}

uint32_t mni_socket_queued_bytes(int s)
{
    int n_queued = 0;

    return ioctl(s, SIOCOUTQ, &n_queued) == 0 && n_queued > 0 ? (uint32_t)n_queued : 0;
}
