/*
 * Descriptors that the caller left open. All but the three standard ones are closed at once, except
 * those that the command line names as paths (/dev/fd/9, bash's `>(command)`), which have to be
 * there until the paths are opened.
 */
#ifndef SAMARA_MONITOR_INHERITED_H
#define SAMARA_MONITOR_INHERITED_H

enum { INHERITED_MOST = 16 };

struct inherited {
    int fds[INHERITED_MOST]; /* in ascending order */
    unsigned count;
};

/* Keeps this descriptor; the one that path names, if it names one; NULL is allowed. */
void inherited_keep_fd(struct inherited *kept, int fd);
void inherited_keep(struct inherited *kept, const char *path);

/* Closes all others, and leaves none to a program that we start; then, when they are not needed any
 * more, those. */
void inherited_close_others(const struct inherited *kept);
void inherited_close(struct inherited *kept);

#endif
