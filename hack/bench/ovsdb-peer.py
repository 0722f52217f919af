#!/usr/bin/python3
"""One of Python's OVSDB clients, for hack/bench-ovsdb.sh: follows Load_Balancer from nothing, then changes one row again
and again. Neither the interpreter's start nor the imports are counted.

  ovsdb-peer.py idl|ovsdbapp --check                               can it be had?
  ovsdb-peer.py idl|ovsdbapp REMOTE SCHEMA ROW CHANGES COLUMN...   one line of JSON
"""

import json
import statistics
import sys
import time
import uuid

import ovs.db.idl
import ovs.poller

TABLE = "Load_Balancer"


def idl_client(remote, schema, columns):
    helper = ovs.db.idl.SchemaHelper(schema)
    helper.register_columns(TABLE, columns)
    started = time.perf_counter()
    idl = ovs.db.idl.Idl(remote, helper)
    while not idl.has_ever_connected():
        idl.run()
        if idl.has_ever_connected():
            break
        poller = ovs.poller.Poller()
        poller.timer_wait(60000)
        idl.wait(poller)
        poller.block()
    took = time.perf_counter() - started

    def change(row, number):
        transaction = ovs.db.idl.Transaction(idl)
        idl.tables[TABLE].rows[row].setkey("external_ids", "bench", str(number))
        status = transaction.commit_block()
        assert status == ovs.db.idl.Transaction.SUCCESS, status

    return took, lambda: len(idl.tables[TABLE].rows), change


def ovsdbapp_client(remote, schema, columns):
    from ovsdbapp.backend.ovs_idl import connection
    from ovsdbapp.schema.ovn_northbound import impl_idl

    helper = ovs.db.idl.SchemaHelper(schema)
    helper.register_columns(TABLE, columns)
    started = time.perf_counter()
    idl = connection.OvsdbIdl(remote, helper)
    api = impl_idl.OvnNbApiIdlImpl(connection.Connection(idl, timeout=60))
    took = time.perf_counter() - started

    def change(row, number):
        api.db_set(TABLE, row, ("external_ids", {"bench": str(number)})).execute(check_error=True)

    return took, lambda: len(api.tables[TABLE].rows), change


def resident():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))


def main():
    client = {"idl": idl_client, "ovsdbapp": ovsdbapp_client}[sys.argv[1]]
    if sys.argv[2:] == ["--check"]:
        if client is ovsdbapp_client:
            import ovsdbapp.schema.ovn_northbound.impl_idl  # noqa: F401
        return
    remote, schema, row, changes, *columns = sys.argv[2:]
    if client is ovsdbapp_client:
        import ovsdbapp.schema.ovn_northbound.impl_idl  # noqa: F401
    took, rows, change = client(remote, schema, columns)
    assert rows() > 0, "no rows"
    told = {"sync_s": took, "rows": rows(), "rss_mib": resident()}
    samples = []
    for number in range(int(changes)):
        started = time.perf_counter()
        change(uuid.UUID(row), number)
        samples.append((time.perf_counter() - started) * 1000)
    if samples:
        told["change_ms"] = statistics.median(samples)
    print(json.dumps(told))
    sys.stdout.flush()
    import os

    os._exit(0)  # ovsdbapp's thread would go on


main()
