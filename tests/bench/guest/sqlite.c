/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite on a disk at /mnt: inserts in one transaction, and in one each. Only where it is linked.
 */
#include "guest.h"

#ifdef WITH_SQLITE
#include <sqlite3.h>

static sqlite3 *db;

static void run(const char *sql)
{
    NEED(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
}

static void insert(long n)
{
    while (n--)
        run("INSERT INTO t(text) VALUES ('a row of some length, as there are many of them')");
}

static void insert_together(long n)
{
    run("BEGIN");
    insert(n);
    run("COMMIT");
}

static void empty(void)
{
    run("DELETE FROM t");
}

void rows_sqlite(void)
{
    NEED(sqlite3_open("/mnt/db", &db) == SQLITE_OK);
    run("CREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT)");
    measure_slow("sqlite1", empty, insert, 100);
    measure_slow("sqliten", empty, insert_together, 20000);
    run("PRAGMA journal_mode=WAL");
    measure_slow("sqlitewal", empty, insert, 200);
    sqlite3_close(db);
}
#else
void rows_sqlite(void)
{
}
#endif
