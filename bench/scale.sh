#!/usr/bin/env bash
# How `pum check` grows: peak memory with 10,000 tables, time with more and more schemas that share the names of their
# tables, and time over a network with a delay.
#
#   bench/scale.sh [TABLES]      (default 10000)
#
# Environment: PUM, PG_BIN (see bench/README.md), ROUNDS (default 3).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$here/cluster.sh"
# shellcheck source-path=SCRIPTDIR source=pum.sh
. "$here/pum.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/pum-bench.XXXXXX")
proxy=
trap '[[ -z $proxy ]] || kill "$proxy"; stop_clusters; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
start_cluster "$work/server" "shared_buffers = 512MB" "max_locks_per_transaction = 1024"
kept=0
measure() {
    "$here/measure.py" --rounds "${ROUNDS:-3}" "$@" || kept=1
    echo
}
same() {
    echo "exec '$PUM' check -p1 '$1' -p2 '$2'"
}

# Small databases, of which thousands of objects have the same names.
echo "schemas that share the names of 10 tables each, the double beside the half:"
for schemas in 250 500 1000; do
    for side in left right; do
        createdb "${side}_$schemas"
        for ((number = 1; number <= schemas; number++)); do
            echo "create schema s$number; set search_path = s$number;"
            for table in 1 2 3 4 5 6 7 8 9 10; do
                echo "create table t$table (id int primary key, v text check (v <> ''), other int references t$table);"
            done
        done | psql -X -q -v ON_ERROR_STOP=1 -d "${side}_$schemas"
        psql -X -q -d "${side}_$schemas" -c 'vacuum analyze'
    done
done
for schemas in 500 1000; do
    half=$((schemas / 2))
    measure --ratio 2.5 --a "$schemas schemas" "$(same "dbname=left_$schemas" "dbname=right_$schemas")" \
        --b "$half schemas" "$(same "dbname=left_$half" "dbname=right_$half")"
done

echo "over a network with 25 ms each way, 1,000 schemas beside 250:"
mkdir "$work/slow"
chmod 755 "$work/slow"
python3 "$here/delay.py" "$work/slow/.s.PGSQL.5432" "$PGHOST/.s.PGSQL.5432" 0.025 &
proxy=$!
for _ in {1..50}; do
    [[ ! -S $work/slow/.s.PGSQL.5432 ]] || break
    sleep 0.1
done
for schemas in 250 1000; do
    measure --a "delayed, $schemas schemas" \
        "$(same "host=$work/slow dbname=left_$schemas" "host=$work/slow dbname=right_$schemas")" \
        --b "not delayed" "$(same "dbname=left_$schemas" "dbname=right_$schemas")"
done

tables=${1:-10000}
echo "$tables tables:"
python3 "$here/synthetic.py" "$tables" >"$work/schema.sql"
for side in left right; do
    createdb "$side"
    sed 's/^begin;$//; s/^commit;$//' "$work/schema.sql" | psql -X -q -v ON_ERROR_STOP=1 -d "$side"
    psql -X -q -d "$side" -c 'vacuum analyze'
done
measure --memory 200 --a "pum check" "$(same dbname=left dbname=right)" --b "pg_dump -s of one" "pg_dump -s left"
exit $kept
