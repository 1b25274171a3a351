/* Asking a running VM something: the commands' end of control_proto.h. */
#ifndef SAMARA_MONITOR_CONTROL_CLIENT_H
#define SAMARA_MONITOR_CONTROL_CLIENT_H

#include <stdbool.h>

#include "monitor/control_proto.h"
#include "monitor/err.h"

/* Asks and waits for the answer, which is put into text as a string. -1 with err; errno is
 * ECONNREFUSED if nobody listens at path any more. */
int control_ask(const char *path, enum control_kind kind, char text[CONTROL_PAYLOAD + 1],
                struct err *err);

/* Sends a request with its payload over a new connection. False with errno. */
bool control_send(int fd, enum control_kind kind, const void *payload, size_t size);

/* The same with a payload, as long as requests of this kind have it. */
int control_ask_with(const char *path, enum control_kind kind, const void *payload, size_t size,
                     char text[CONTROL_PAYLOAD + 1], struct err *err);

#endif
