#!/usr/bin/env bash
# `pum upgrade` of many small databases in one call, one at a time and eight at once, against a shell loop that calls
# pum for each.
#
#   bench/fleet.sh [DATABASES]   (default 1000; each takes 8 MB of disk)
#
# Environment: PUM, PG_BIN (see bench/README.md), ROUNDS (default 3).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$here/cluster.sh"
# shellcheck source-path=SCRIPTDIR source=pum.sh
. "$here/pum.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/pum-bench.XXXXXX")
trap 'stop_clusters; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
start_cluster "$work/server" "shared_buffers = 256MB" "max_wal_size = 4GB"

# Each run upgrades every database by one delta, so that nothing has to be made anew in between.
count=${1:-1000}
mkdir "$work/deltas"
for number in {1..60}; do
    cat >"$work/deltas/delta_1.0.${number}_meter_$number.sql" <<END
create table meter_$number (id integer primary key, serial text not null, read_on date);
create index meter_${number}_read_on on meter_$number (read_on);
insert into meter_$number select n, 'M' || n, date '2026-01-01' + n from generate_series(1, 10) n;
END
done
options="-t public.pum_info -d $work/deltas"
createdb template_town
# shellcheck disable=SC2086
"$PUM" baseline -p dbname=template_town $options -b 1.0.0 --mark-applied >/dev/null
for ((number = 1; number <= count; number++)); do
    echo "create database town_$number template template_town strategy file_copy;"
done | psql -X -q -v ON_ERROR_STOP=1 -d postgres
psql -X -q -d postgres -c checkpoint

echo 0 >"$work/version"
next="version=\$((\$(cat '$work/version') + 1)); echo \$version >'$work/version'; "
fleet() {
    echo "${next}exec '$PUM' upgrade -p dbname=postgres --databases 'town_*' $options -u 1.0.\$version --jobs $1"
}
loop="${next}for ((number = 1; number <= $count; number++)); do
    '$PUM' upgrade -p dbname=town_\$number $options -u 1.0.\$version || exit 1
done"
# The last database is where the first should be.
reached="select version from public.pum_info order by id desc limit 1"
complete="for town in 1 $count; do test \"\$(psql -X -A -t -d town_\$town -c '$reached')\" = 1.0.\$(cat '$work/version') || exit 1; done"

kept=0
echo "$count databases, a delta of three statements each:"
"$here/measure.py" --rounds "${ROUNDS:-3}" --after "$complete" --ratio 1.1 \
    --a "pum upgrade --jobs 1" "$(fleet 1)" --b "a loop" "$loop" || kept=1
"$here/measure.py" --rounds "${ROUNDS:-3}" --after "$complete" --ratio 1 \
    --a "pum upgrade --jobs 8" "$(fleet 8)" --b "a loop" "$loop" || kept=1
exit $kept
