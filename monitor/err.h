/*
 * Errors as one line of text that gains context on its way out:
 *
 *     disk 0: open root.img: Permission denied
 *
 * Each function returns -1, so that a failure is reported and left in one statement. Only main()
 * prints and exits. Nothing allocates; what does not fit is cut at the end.
 */
#ifndef SAMARA_MONITOR_ERR_H
#define SAMARA_MONITOR_ERR_H

#define ERR_TEXT 512

struct err {
    char text[ERR_TEXT]; /* always terminated; "" before the first error */
};

/* Replaces the text. A NULL err is allowed everywhere: the caller does not want to know. */
int err_set(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Replaces the text and appends ": " and what errno, taken at the call, means. */
int err_sys(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts a context and ": " in front of the text. */
int err_in(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
