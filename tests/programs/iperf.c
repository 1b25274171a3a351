/* iperf3 as a static program: Debian has it as a library, too. Takes iperf3's own words. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include <iperf_api.h> /* needs the others */

int main(int argc, char **argv)
{
    struct iperf_test *test = iperf_new_test();
    int r;

    if (!test || iperf_defaults(test) < 0 || iperf_parse_arguments(test, argc, argv) < 0) {
        fprintf(stderr, "iperf: %s\n", iperf_strerror(i_errno));
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    r = iperf_get_test_role(test) == 's' ? iperf_run_server(test) : iperf_run_client(test);
    if (r < 0)
        fprintf(stderr, "iperf: %s\n", iperf_strerror(i_errno));
    iperf_free_test(test);
    return r < 0;
}
