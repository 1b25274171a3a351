/* A database in /tmp: filled in a transaction, indexed, queried, rolled back, in both journal
 * modes. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/samara-sqlite.XXXXXX";

static int print_row(void *what, int columns, char **values, char **names)
{
    (void)names;
    fputs(what, stdout);
    for (int i = 0; i < columns; i++)
        printf(" %s", values[i] ? values[i] : "NULL");
    putchar('\n');
    return 0;
}

static void run(sqlite3 *db, const char *label, const char *sql)
{
    char *message = NULL;

    if (sqlite3_exec(db, sql, print_row, (void *)(size_t)label, &message) == SQLITE_OK)
        return;
    fprintf(stderr, "%s: %s\n", label, message ? message : sqlite3_errmsg(db));
    exit(1);
}

static void fill(sqlite3 *db, int rows)
{
    sqlite3_stmt *insert;

    run(db, "begin", "BEGIN");
    if (sqlite3_prepare_v2(db, "INSERT INTO t VALUES (?, ?, ?)", -1, &insert, NULL) != SQLITE_OK)
        exit(1);
    for (int i = 0; i < rows; i++) {
        char name[32];

        snprintf(name, sizeof(name), "row %d", i * 7919 % rows);
        sqlite3_bind_int(insert, 1, i);
        sqlite3_bind_text(insert, 2, name, -1, SQLITE_TRANSIENT);
        sqlite3_bind_double(insert, 3, i / 7.0);
        if (sqlite3_step(insert) != SQLITE_DONE)
            exit(1);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    run(db, "commit", "COMMIT");
}

static void session(const char *mode)
{
    char pragma[64];
    sqlite3 *db;

    if (sqlite3_open(path, &db) != SQLITE_OK) {
        fprintf(stderr, "open: %s\n", sqlite3_errmsg(db));
        exit(1);
    }
    snprintf(pragma, sizeof(pragma), "PRAGMA journal_mode=%s", mode);
    run(db, "journal", pragma);
    run(db, "create", "DROP TABLE IF EXISTS t; CREATE TABLE t (id INTEGER PRIMARY KEY, name, x)");
    fill(db, 10000);
    run(db, "index", "CREATE INDEX by_name ON t (name)");
    run(db, "count", "SELECT count(*), sum(id), round(avg(x), 4) FROM t");
    run(db, "find", "SELECT id, name FROM t WHERE name = 'row 4242'");
    run(db, "group", "SELECT substr(name, 5, 1), count(*) FROM t GROUP BY 1 ORDER BY 1 LIMIT 3");
    run(db, "rollback", "BEGIN; DELETE FROM t WHERE id % 2; ROLLBACK; SELECT count(*) FROM t");
    run(db, "delete", "DELETE FROM t WHERE id % 2; SELECT count(*) FROM t");
    run(db, "vacuum", "VACUUM; PRAGMA integrity_check");
    if (sqlite3_close(db) != SQLITE_OK)
        exit(1);
}

int main(void)
{
    int fd = mkstemp(path);

    if (fd < 0)
        return 2;
    close(fd);
    session("delete");
    session("wal");
    session("memory");
    return unlink(path) == 0 ? 0 : 1;
}
