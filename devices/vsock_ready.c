/*
 * What a connection of a vsock device may send, and whose turn it is: see vsock_state.h. Credit is
 * counted in both directions; those with something to send wait in a list, each once.
 */
#include "devices/vsock_state.h"

/* --- credit --- */

uint32_t conn_credit(const struct vsock_conn *conn)
{
    uint32_t under_way = conn->sent - conn->peer_forwarded;

    return under_way < conn->peer_alloc ? conn->peer_alloc - under_way : 0;
}

uint32_t conn_allowance(const struct vsock_conn *conn)
{
    return conn_buf_alloc(conn) - (conn->received - conn->told);
}

void conn_forwarded(struct vsock_conn *conn, uint32_t bytes)
{
    conn->forwarded += bytes;
    if (conn->state == CONN_OPEN && conn->forwarded != conn->told &&
        conn_allowance(conn) < conn_buf_alloc(conn) / 2)
        conn_post(conn, PENDING_CREDIT);
}

/* --- the ready list --- */

bool conn_has_data(const struct vsock_conn *conn)
{
    uint32_t least = conn->next > 0 ? conn->next : 1;

    return conn->state == CONN_OPEN && conn->reads && conn->readable && conn_credit(conn) >= least;
}

void conn_schedule(struct vsock_conn *conn)
{
    struct vsock *vsock = conn->vsock;

    if (conn->ready_link != NULL || !conn_is_named(conn) ||
        (conn->pending == 0 && !conn_has_data(conn)))
        return;
    conn->ready_next = NULL;
    conn->ready_link = vsock->ready_end;
    *vsock->ready_end = conn;
    vsock->ready_end = &conn->ready_next;
}

void conn_unschedule(struct vsock_conn *conn)
{
    if (conn->ready_link == NULL)
        return;
    *conn->ready_link = conn->ready_next;
    if (conn->ready_next != NULL)
        conn->ready_next->ready_link = conn->ready_link;
    else
        conn->vsock->ready_end = conn->ready_link;
    conn->ready_link = NULL;
}

void conn_post(struct vsock_conn *conn, unsigned pending)
{
    conn->pending |= pending;
    conn_schedule(conn);
}
