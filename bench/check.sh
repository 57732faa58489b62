#!/usr/bin/env bash
# `pum check` of two large databases that differ in a few things, beside what else can compare them.
#
#   bench/check.sh [TABLES]      a synthetic schema of so many tables (default 2000)
#   bench/check.sh FILE.sql      a real schema: its script, on an empty database
#
# Beside it run: two psql at once with the same catalog queries (what the server needs for them), two `pg_dump -s` at
# once with diff, and those programs of others that the environment names: PUM_ORIGINAL, PUM_1_9, MIGRA.
# Environment: PUM, PG_BIN (see bench/README.md), ROUNDS (default 7), SLOW_ROUNDS of the programs of others (default 1),
# LIMIT, seconds after which one of theirs is given up (default 130).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$here/cluster.sh"
# shellcheck source-path=SCRIPTDIR source=pum.sh
. "$here/pum.sh"

what=${1:-2000}
work=$(mktemp -d "${TMPDIR:-/tmp}/pum-bench.XXXXXX")
trap 'stop_clusters; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
if [[ -f $what ]]; then
    cp "$what" "$work/schema.sql"
else
    python3 "$here/synthetic.py" "$what" >"$work/schema.sql"
fi
start_cluster "$work/server" "shared_buffers = 256MB" "max_locks_per_transaction = 1024" "autovacuum = off"

# Databases from one script; one is changed a little, one went through a dump, and two are never analyzed, as one that was
# just built.
for database in left right changed restored new newer; do
    createdb "$database"
done
for database in left right changed new newer; do
    psql -X -q -v ON_ERROR_STOP=1 -d "$database" -f "$work/schema.sql" >/dev/null
done
pg_dump --schema-only left | psql -X -q -v ON_ERROR_STOP=1 -d restored >/dev/null
# A column more, another type, an index less and a function that differs.
psql -X -q -v ON_ERROR_STOP=1 -d changed <<'SQL' >/dev/null
do $$
declare first text; last text; index text;
begin
    select min(oid::regclass::text), max(oid::regclass::text) into first, last
        from pg_class where relkind = 'r' and not relispartition and relnamespace >= 16384
            and not exists (select from pg_inherits where inhparent = pg_class.oid or inhrelid = pg_class.oid);
    if first is null then
        select min(oid::regclass::text), max(oid::regclass::text) into first, last
            from pg_class where relkind = 'r' and not relispartition and relnamespace = 'public'::regnamespace;
    end if;
    execute format('alter table %s add column added_here int', first);
    execute format('alter table %s add column added_there text default ''x''', last);
    select min(indexrelid::regclass::text) into index from pg_index join pg_class c on c.oid = indexrelid
        where indrelid >= 16384 and not indisunique and not c.relispartition
            and not exists (select from pg_inherits where inhparent = indexrelid);
    execute format('drop index %s', index);
    create function public.only_here() returns int language sql as 'select 1';
end $$;
SQL
for database in left right changed restored; do
    psql -X -q -d "$database" -c 'vacuum analyze'
done

# The reading transaction of pum: every catalog query, in one snapshot.
{
    echo "set jit = off; set max_parallel_workers_per_gather = 0; begin isolation level repeatable read read only; set local search_path = pg_catalog;"
    for query in "$here"/../lib/src/catalog/every/*.sql "$here"/../lib/src/catalog/*.sql; do
        cat "$query"
        echo ";"
    done
    echo "commit;"
} >"$work/queries.sql"

# Print the commands that do something with two databases at once.
psql_on_both() {
    local psql="psql -X -A -t -q -v ON_ERROR_STOP=1 -f $work/queries.sql -o /dev/null"
    echo "$psql -d $1 & $psql -d $2 && wait \$!"
}
pg_dump_of_both() {
    local options="--schema-only"
    pg_dump --help | grep -q restrict-key && options="$options --restrict-key=x"
    echo "pg_dump $options $1 >$work/1.sql & pg_dump $options $2 >$work/2.sql && wait \$! && { diff $work/1.sql $work/2.sql || true; }"
}
pum_check() {
    echo "'$PUM' check -p1 dbname=$1 -p2 dbname=$2 -o $work/report.txt -s || [ \$? = 1 ]"
}

kept=0
measure() {
    "$here/measure.py" --rounds "${ROUNDS:-7}" "$@" || kept=1
    echo
}
echo "$(basename "$what"), $(psql -X -A -t -d left -c "select count(*) from pg_class where relkind in ('r', 'p') and relnamespace >= 2200 and relnamespace <> 'information_schema'::regnamespace") tables, with a few changes:"
measure --ratio 1.15 --memory 100 --a "pum check" "$(pum_check left changed)" \
    --b "psql, both at once" "$(psql_on_both left changed)"
measure --a "pg_dump -s, both at once, diff" "$(pg_dump_of_both left changed)" \
    --b "pum check" "$(pum_check left changed)"
echo "two that are the same:"
measure --ratio 1.15 --a "pum check" "$(pum_check left right)" --b "psql, both at once" "$(psql_on_both left right)"
echo "two that nobody has analyzed yet:"
measure --ratio 2 --a "pum check" "$(pum_check new newer)" --b "analyzed" "$(pum_check left right)"
echo "against its restored dump, where definitions are spelt otherwise and parsed again:"
measure --a "pum check" "$(pum_check left restored)" --b "psql, both at once" "$(psql_on_both left restored)"

# The others: services, because pum 0.10 takes nothing else.
export PGSERVICEFILE=$work/pg_service.conf
for database in left changed; do
    printf '[%s]\nhost=%s\nport=%s\nuser=%s\ndbname=%s\n' "$database" "$PGHOST" "$PGPORT" "$PGUSER" "$database"
done >"$PGSERVICEFILE"
limit="timeout ${LIMIT:-130}"
ROUNDS=${SLOW_ROUNDS:-1}
gone_on="|| [ \$? != 126 -a \$? != 127 ]"
declare -A call=([PUM_ORIGINAL]="check -p1 left -p2 changed -v 1" [PUM_1_9]="-p left check changed")
for version in PUM_ORIGINAL PUM_1_9; do
    if [[ -n ${!version:-} ]]; then
        measure --a "$version (given up after ${LIMIT:-130} s)" \
            "cd '$work'; $limit '${!version}' ${call[$version]} $gone_on" \
            --b "pum check" "$(pum_check left changed)"
    fi
done
if [[ -n ${MIGRA:-} ]]; then
    measure --a "migra (given up after ${LIMIT:-130} s)" \
        "$limit '$MIGRA' --unsafe 'postgresql:///left?host=$PGHOST&user=$PGUSER' 'postgresql:///changed?host=$PGHOST&user=$PGUSER' $gone_on" \
        --b "pum check" "$(pum_check left changed)"
fi
exit $kept
