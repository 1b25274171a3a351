/*
 * One line on standard error at once, from where nothing may block: under the device lock (a guest
 * could fill the pipe behind standard error and stop the monitor with it) or in a signal handler.
 * What there is no room for is lost.
 */
#ifndef SAMARA_MONITOR_WARN_H
#define SAMARA_MONITOR_WARN_H

/* text has no newline and is shorter than PIPE_BUF. Async-signal-safe. */
void warn_now(const char *text);

#endif
