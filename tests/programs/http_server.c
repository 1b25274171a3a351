/*
 * An HTTP server upon libevent's event loop: /N is answered with N lines, each the number N, until
 * somebody asks for /end. Says "ready" when it listens, how many it answered when it ends.
 *
 *   http_server PORT
 */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long answered;

static void answer(struct evhttp_request *request, void *base)
{
    const char *path = evhttp_request_get_uri(request);
    struct evbuffer *body = evbuffer_new();
    unsigned long n = strtoul(path + 1, NULL, 10);

    for (unsigned long i = 0; i < n; i++)
        evbuffer_add_printf(body, "%lu\n", n);
    evhttp_send_reply(request, HTTP_OK, "OK", body);
    evbuffer_free(body);
    if (strcmp(path, "/end") == 0)
        event_base_loopexit(base, &(struct timeval){0, 50000}); /* the answer still goes */
    else
        answered++;
}

int main(int argc, char **argv)
{
    struct event_base *base = event_base_new();
    struct evhttp *http = base ? evhttp_new(base) : NULL;

    if (argc != 2 || !http ||
        evhttp_bind_socket(http, "0.0.0.0", (unsigned short)atoi(argv[1])) != 0) {
        fputs("http_server: cannot listen\n", stderr);
        return 1;
    }
    evhttp_set_gencb(http, answer, base);
    fprintf(stderr, "%s\n", event_base_get_method(base));
    puts("ready");
    fflush(stdout);
    event_base_dispatch(base);
    printf("%lu answered\n", answered);
    evhttp_free(http);
    event_base_free(base);
    return 0;
}
