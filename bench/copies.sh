#!/usr/bin/env bash
# The ways in which `pum test` copies production, each against `pg_dump -Fc | pg_restore`, and against plain `cp -r` of
# the server's data directory.
#
#   bench/copies.sh [MEGABYTES]    (default 500)
#
# pum's times are of the whole rehearsal of an upgrade that does nothing: with the reading and comparing of catalogs, the
# sums of all data and the start of throw-away servers. How long the copy alone took is told of the last run, as the
# rehearsal's file has it. Environment: PUM, PG_BIN (see bench/README.md), ROUNDS (default 3).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$here/cluster.sh"
# shellcheck source-path=SCRIPTDIR source=pum.sh
. "$here/pum.sh"

megabytes=${1:-500}
work=$(mktemp -d "${TMPDIR:-/tmp}/pum-bench.XXXXXX")
trap 'stop_clusters; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
start_cluster "$work/server" "wal_level = replica" "max_wal_senders = 10" "shared_buffers = 256MB" "max_wal_size = 4GB"

# Half of the bytes are rows, half indexes; a third of the rows has been updated, as in a database that is in use.
createdb town
psql -X -q -d town -v ON_ERROR_STOP=1 <<END_OF_SQL
create schema town;
create table town.meter (id int primary key, serial text not null, place text not null, read_on timestamp, value numeric);
create table town.reading (id int primary key, meter int not null, read_on timestamp not null, value numeric, note text);
insert into town.meter select n, 'M' || n, md5(n::text), now(), n / 7.0 from generate_series(1, $megabytes * 580) n;
insert into town.reading select n, 1 + n % ($megabytes * 580), timestamp '2026-01-01' + n * interval '1 second',
    n / 3.0, md5((n * 7)::text) from generate_series(1, $megabytes * 3650) n;
create index meter_serial on town.meter (serial);
create index meter_place on town.meter (place);
create index reading_meter on town.reading (meter, read_on);
create index reading_note on town.reading (note);
update town.meter set value = value + 1 where id % 3 = 0;
vacuum analyze;
END_OF_SQL
pg_dump --schema-only --no-owner --dbname=town >"$work/create.sql"
mkdir "$work/deltas"
"$PUM" baseline -p dbname=town -t pum_sys.upgrades -d "$work/deltas" -b 1.0.0 >/dev/null
psql -X -q -d town -c checkpoint
echo "A database of $(psql -X -A -t -d town -c "select pg_size_pretty(pg_database_size('town'))"), on $(nproc) processors:"

cat >"$work/pum.yaml" <<END_OF_YAML
upgrades_table: pum_sys.upgrades
delta_dir: deltas
expected: {sql: [create.sql]}
END_OF_YAML
chmod 711 "$work"

piped="dropdb --if-exists --force piped 2>/dev/null; createdb piped && pg_dump -Fc -d town | exec pg_restore -d piped"
files="rm -rf '$work/files'; exec cp -r '$work/server/data' '$work/files'"
rehearse() {
    echo "cd '$work' && exec '$PUM' test -pp dbname=town --save '$work/rehearsal.json' $*"
}
copy_alone() {
    python3 - "$work/rehearsal.json" <<'END_OF_PYTHON'
import json
import sys

with open(sys.argv[1]) as file:
    seconds = json.load(file)["copy"]["milliseconds"] / 1000
print(f"{'of which the copy alone, last run':<44} {seconds:8.4f} s")
END_OF_PYTHON
}
for way in "restore" "template -pt dbname=town_copy" "physical"; do
    echo
    "$here/measure.py" --rounds "${ROUNDS:-3}" \
        --a "pum test --copy ${way%% *}" "$(rehearse --copy "$way")" --b "pg_dump -Fc | pg_restore" "$piped"
    copy_alone
done
echo
"$here/measure.py" --rounds "${ROUNDS:-3}" --a "pum test --copy physical" "$(rehearse --copy physical)" --b "cp -r" "$files"
echo
"$here/measure.py" --rounds "${ROUNDS:-3}" \
    --a "pum test --schema-only" "$(rehearse --schema-only)" --b "pg_dump -Fc | pg_restore" "$piped"
