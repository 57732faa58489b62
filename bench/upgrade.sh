#!/usr/bin/env bash
# `pum upgrade` with many small deltas, against one psql session that runs the same transactions.
#
#   bench/upgrade.sh [DELTAS]    (default 1000)
#
# Environment: PUM, PG_BIN (see bench/README.md), ROUNDS (default 5).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$here/cluster.sh"
# shellcheck source-path=SCRIPTDIR source=pum.sh
. "$here/pum.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/pum-bench.XXXXXX")
trap 'stop_clusters; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
start_cluster "$work/server" "shared_buffers = 256MB"

# Each delta makes a table, indexes and fills it. The psql session does the same in transactions of its own, each with
# the row that records it, as pum's have.
python3 - "$work" "${1:-1000}" <<'END'
import hashlib
import pathlib
import sys

work, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
deltas = work / "deltas"
deltas.mkdir()
with open(work / "session.sql", "w") as session:
    for number in range(1, count + 1):
        script = (
            f"create table meter_{number} (id integer primary key, serial text not null, read_on date);\n"
            f"create index meter_{number}_read_on on meter_{number} (read_on);\n"
            f"insert into meter_{number} select n, 'M' || n, date '2026-01-01' + n from generate_series(1, 10) n;\n"
        )
        path = deltas / f"delta_1.0.{number}_meter_{number}.sql"
        path.write_text(script)
        checksum = hashlib.md5(script.encode()).hexdigest()
        session.write(
            "begin;\n"
            "insert into public.pum_info (version, description, type, script, checksum, installed_by, execution_time,"
            f" success) values ('1.0.{number}', 'meter_{number}', 8, '{path}', '{checksum}', current_user, 1, true);\n"
            f"{script}commit;\n"
        )
END

# A fresh database with its table of upgrades before every run.
createdb template_town
"$PUM" baseline -p dbname=template_town -t public.pum_info -d "$work/deltas" -b 1.0.0 >/dev/null
psql -X -q -d template_town -c 'vacuum analyze'
fresh="dropdb --if-exists --force town 2>/dev/null; createdb --template=template_town town && psql -X -q -d town -c checkpoint"

# Every delta has left its table and its row.
count="select count(*) from pg_class where relkind = 'r' and relname ~ '^meter_\\d+\$'"
count="$count union all select count(*) from pum_info where type = 8 and success"
complete="test \"\$(psql -X -A -t -d town -c \"$count\" | uniq)\" = ${1:-1000}"

echo "${1:-1000} deltas of three statements:"
"$here/measure.py" --rounds "${ROUNDS:-5}" --ratio 1.3 --before "$fresh" --after "$complete" \
    --a "pum upgrade" "exec '$PUM' upgrade -p dbname=town -t public.pum_info -d '$work/deltas'" \
    --b "psql, one session" "exec psql -X -q -v ON_ERROR_STOP=1 -d town -f '$work/session.sql'"
