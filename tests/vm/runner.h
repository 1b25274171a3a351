/*
 * Whole-VM tests: each starts samara as a user would and judges what comes out. One static program
 * that needs nothing but itself, so that the same file runs here and in the emulated SVM machine.
 */
#ifndef TESTS_VM_RUNNER_H
#define TESTS_VM_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What to start. */
struct job {
    const char *argv[32]; /* NULL-terminated; argv[0] is a path */
    const void *input;    /* stdin; NULL: /dev/null */
    size_t input_len;
    bool keep_input_open; /* stdin stays open until the job ends */
    bool merge;           /* stderr goes where stdout goes */
};

/* What came of it. Free with outcome_free. */
struct outcome {
    int status; /* exit status, 128 + n for a signal that killed samara itself is -n */
    char *out;
    size_t out_len;
    char *err;
    size_t err_len;
};

void outcome_free(struct outcome *o);

/* Runs to the end. Fails the test (and returns a status of -1000) after job_seconds(). */
void job_run(const struct job *job, struct outcome *o);

/* The same in two halves, for tests that do something in between. */
struct running {
    pid_t pid;
    int in, out, err;
};
void job_start(const struct job *job, struct running *r);
void job_finish(struct running *r, struct outcome *o);
/* Ends it by SIGTERM, of which it has to die. */
void job_stop(struct running *r);

/* Reads from r->out until `text` was seen; false at the end of the stream or after a time. */
bool job_await(struct running *r, const char *text);

/* Paths: samara itself; a test program (static buffer, several calls may be pending). */
const char *samara(void);
const char *program(const char *name);
const char *scratch(const char *name); /* a file in this test's own directory */

/* Also if somebody puts something there meanwhile. */
void remove_tree(const char *path);

unsigned long bulk_mib(void); /* how much data bulk tests move */

/* Verdicts. A failed one ends the test. */
_Noreturn void fail_at(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            fail_at(__FILE__, __LINE__, "%s", #cond);                                              \
    } while (0)
void check_status(const char *file, int line, const struct outcome *o, int want);
void check_output(const char *file, int line, const struct outcome *o, const void *want,
                  size_t len);
void check_error_has(const char *file, int line, const struct outcome *o, const char *text);
#define STATUS(o, want)    check_status(__FILE__, __LINE__, o, want)
#define OUTPUT(o, text)    check_output(__FILE__, __LINE__, o, text, strlen(text))
#define OUTPUT_IS(o, p, n) check_output(__FILE__, __LINE__, o, p, n)
#define ERROR_HAS(o, text) check_error_has(__FILE__, __LINE__, o, text)

struct vm_test {
    const char *name;
    void (*run)(void);
};

/* Each file's table ends with a NULL name. */
extern const struct vm_test cli_tests[], stdio_tests[], program_tests[], vsock_tests[],
    failure_tests[], kernel_tests[], process_tests[], control_tests[], escape_tests[], disk_tests[],
    net_tests[], traffic_tests[], traffic_address_tests[], hostile_tests[], seqpacket_tests[],
    hostile_host_tests[], traffic_link_tests[], traffic_program_tests[], snapshot_tests[],
    traffic_snapshot_tests[], snapshot_state_tests[], snapshot_stream_tests[],
    snapshot_limits_tests[], snapshot_disk_tests[], snapshot_record_tests[];

#endif
