/*
 * socket.h - the sockets of a library that speaks for us.
 */
#ifndef MNI_IO_SOCKET_H
#define MNI_IO_SOCKET_H

#include <stdint.h>

/* One that programs that are started do not inherit; -1 when there is none to be had. */
int mni_socket_open(int family, int type, int protocol);
int mni_socket_close(int s); /* 0, or not */
/* The port at this end; 0: it has none. */
uint16_t mni_socket_port(int s);
/* Bytes that were sent and that the other end has not acknowledged; 0 when that is unknown. */
uint32_t mni_socket_queued_bytes(int s);

#endif
