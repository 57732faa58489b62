#!/usr/bin/env bash
# `pum check` of two large databases, against two psql at once that run the same catalog queries.
#
#   bench/check.sh [TABLES]      (default 2000)
#
# Environment: PUM, PG_BIN (see bench/README.md), ROUNDS (default 7).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$here/cluster.sh"
# shellcheck source-path=SCRIPTDIR source=pum.sh
. "$here/pum.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/pum-bench.XXXXXX")
trap 'stop_clusters; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
start_cluster "$work/server" "shared_buffers = 256MB" "max_locks_per_transaction = 256"

# Two databases from the same script, and one that went through a dump.
for database in left right restored; do
    createdb "$database"
done
python3 "$here/synthetic.py" "${1:-2000}" >"$work/schema.sql"
for database in left right; do
    psql -X -q -v ON_ERROR_STOP=1 -d "$database" -f "$work/schema.sql"
done
pg_dump --schema-only left | psql -X -q -v ON_ERROR_STOP=1 -d restored >/dev/null
for database in left right restored; do
    psql -X -q -d "$database" -c 'vacuum analyze'
done

# The reading transaction of pum: every catalog query, in one snapshot.
{
    echo "set jit = off; begin isolation level repeatable read read only; set local search_path = pg_catalog;"
    for query in "$here"/../lib/src/catalog/*.sql; do
        cat "$query"
        echo ";"
    done
    echo "commit;"
} >"$work/queries.sql"

# Prints the command that runs the queries in two databases at once.
psql_on_both() {
    local psql="psql -X -A -t -q -v ON_ERROR_STOP=1 -f $work/queries.sql -o /dev/null"
    echo "$psql -d $1 & $psql -d $2 && wait \$!"
}

kept=0
echo "two databases of ${1:-2000} tables, built alike:"
"$here/measure.py" --rounds "${ROUNDS:-7}" --ratio 1.5 --memory 100 \
    --a "pum check" "exec '$PUM' check -p1 dbname=left -p2 dbname=right" \
    --b "psql, both at once" "$(psql_on_both left right)" || kept=1
echo
echo "the same against its restored dump (every check on a varchar is spelt otherwise):"
"$here/measure.py" --rounds "${ROUNDS:-7}" \
    --a "pum check" "exec '$PUM' check -p1 dbname=left -p2 dbname=restored" \
    --b "psql, both at once" "$(psql_on_both left restored)" || kept=1
exit $kept
