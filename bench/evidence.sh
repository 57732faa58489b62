#!/usr/bin/env bash
# What it costs to watch an upgrade: the steps on the copy of a rehearsal, where locks, waits, rewrites, rows and
# write-ahead log are measured, against the same steps by `pum upgrade`, which measures nothing. Both run on a copy that
# was just restored and analyzed in a server of the same settings, and both times are those that pum tells of the steps.
#
#   bench/evidence.sh [MEGABYTES]    (default 300)
#
# Environment: PUM, PG_BIN (see bench/README.md), ROUNDS (default 5).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$here/cluster.sh"
# shellcheck source-path=SCRIPTDIR source=pum.sh
. "$here/pum.sh"

megabytes=${1:-300}
work=$(mktemp -d "${TMPDIR:-/tmp}/pum-bench.XXXXXX")
trap 'stop_clusters; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
# As the throw-away server of a rehearsal.
start_cluster "$work/server" "shared_buffers = 256MB" "max_wal_size = 4GB" "synchronous_commit = off"
chmod 711 "$work"

createdb town
psql -X -q -d town -v ON_ERROR_STOP=1 <<END_OF_SQL
create schema town;
create table town.reading (id int primary key, meter int not null, read_on timestamp not null, value numeric, note text);
insert into town.reading select n, 1 + n % 1000, timestamp '2026-01-01' + n * interval '1 second', n / 3.0,
    md5((n * 7)::text) from generate_series(1, $megabytes * 8000) n;
create index reading_meter on town.reading (meter, read_on);
vacuum analyze;
END_OF_SQL

# Few statements that are long, and many that are short.
mkdir "$work/long" "$work/short"
cat >"$work/long/delta_1.1.0_long.sql" <<'END_OF_SQL'
alter table town.reading alter column value type numeric(12, 3);
create index reading_note on town.reading (note);
update town.reading set note = 'low' where value < 10000;
alter table town.reading add constraint value_is_positive check (value > 0);
delete from town.reading where id % 10 = 0;
END_OF_SQL
for number in $(seq 1 1000); do
    cat >"$work/short/delta_1.1.${number}_short.sql" <<END_OF_SQL
create table town.meter_$number (id integer primary key, serial text not null, read_on date);
create index meter_${number}_read_on on town.meter_$number (read_on);
insert into town.meter_$number select n, 'M' || n, date '2026-01-01' + n from generate_series(1, 10) n;
END_OF_SQL
done

for set in long short; do
    "$PUM" baseline -p dbname=town -t "pum_sys.$set" -d "$work/$set" -b 1.0.0 >/dev/null
done
echo "A database of $(psql -X -A -t -d town -c "select pg_size_pretty(pg_database_size('town'))"), on $(nproc) processors:"

watched() { # SET
    printf 'upgrades_table: pum_sys.%s\ndelta_dir: %s\nexpected: {sql: [create.sql]}\n' "$1" "$1" >"$work/pum.yaml"
    # The copy differs from this schema, which does not matter here.
    echo "create schema town;" >"$work/create.sql"
    (cd "$work" && "$PUM" test -pp dbname=town --save "$work/$1.json" >"$work/$1.out" 2>&1) || (($? == 1))
    python3 - "$work/$1.json" <<'END_OF_PYTHON'
import json
import sys

with open(sys.argv[1]) as file:
    print(sum(step["milliseconds"] for step in json.load(file)["steps"]))
END_OF_PYTHON
}
plain() { # SET
    dropdb --if-exists --force copy 2>/dev/null
    createdb copy
    pg_dump -Fc -Z0 -d town | pg_restore -d copy
    psql -X -q -d copy -c analyze -c checkpoint
    "$PUM" upgrade -p dbname=copy -t "pum_sys.$1" -d "$work/$1" --format json 2>/dev/null |
        python3 -c 'import json, sys; print(sum(step["execution_time_ms"] for step in json.load(sys.stdin)["steps"]))'
}
for set in long short; do
    for round in $(seq "${ROUNDS:-5}"); do
        echo "$set $(watched "$set") $(plain "$set")"
    done
done | python3 -c '
import statistics
import sys

runs = {}
for line in sys.stdin:
    name, watched, plain = line.split()
    runs.setdefault(name, []).append((int(watched), int(plain)))
for name, pairs in runs.items():
    watched, plain = (statistics.median(side) for side in zip(*pairs))
    print(f"{name} statements: watched {watched / 1000:.2f} s, plain {plain / 1000:.2f} s, ratio {watched / plain:.3f}")
'
