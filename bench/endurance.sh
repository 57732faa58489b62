#!/usr/bin/env bash
# What is large or does not end: time and peak memory of pum with a delta of hundreds of megabytes, with thousands of
# deltas, with a hundred thousand objects and with a flood of notices; the double beside the half.
#
#   bench/endurance.sh [MEGABYTES [DELTAS [OBJECTS [NOTICES]]]]    (default 500 10000 100000 1000000)
#   bench/endurance.sh 20 200 2000 20000                           (about a minute)
#
# 0 leaves a part out. Environment: PUM, PG_BIN (see bench/README.md), ROUNDS (default 1).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$here/cluster.sh"
# shellcheck source-path=SCRIPTDIR source=pum.sh
. "$here/pum.sh"

megabytes=${1:-500} deltas=${2:-10000} objects=${3:-100000} notices=${4:-1000000}
work=$(mktemp -d "${TMPDIR:-/tmp}/pum-bench.XXXXXX")
trap 'stop_clusters; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
start_cluster "$work/server" "shared_buffers = 256MB" "max_wal_size = 4GB" "max_locks_per_transaction = 1024"
kept=0
measure() {
    "$here/measure.py" --rounds "${ROUNDS:-1}" "$@" || kept=1
    echo
}
options="-t public.pum_info"
createdb empty
# shellcheck disable=SC2086
"$PUM" baseline -p dbname=empty $options -b 1.0.0 >/dev/null
fresh() { # DATABASE...
    for database in "$@"; do
        echo "dropdb --if-exists --force $database 2>/dev/null; createdb --template=empty $database && "
    done
    echo "psql -X -q -d postgres -c checkpoint"
}
upgrade() { # DATABASE DIRECTORY [OPTION...]
    local database=$1 directory=$2
    shift 2
    echo "'$PUM' upgrade -p dbname=$database $options -d '$work/$directory' $*"
}

# A delta in a directory of its own: what it is made of, and how many bytes.
delta() { # DIRECTORY KIND MEGABYTES
    mkdir "$work/$1"
    python3 - "$work/$1/delta_1.1.0_much.sql" "$2" "$3" <<'END_OF_PYTHON'
import sys

path, kind, length = sys.argv[1], sys.argv[2], int(float(sys.argv[3]) * 1_000_000)
with open(path, "w", encoding="utf-8") as file:
    file.write("create table public.reading (id int, note text);\n")
    if kind == "insert":
        line = "insert into public.reading values ({}, '" + "the water is clear; " * 23 + "');\n"
        for number in range(length // len(line)):
            file.write(line.format(number))
    elif kind == "copy":
        file.write("copy public.reading from stdin;\n")
        line = "{}\t" + "the water is clear; " * 25 + "\n"
        for number in range(length // len(line)):
            file.write(line.format(number))
        file.write("\\.\n")
    else:
        file.write("insert into public.reading values (1, '")
        for _ in range(length // 20):
            file.write("the water is clear; ")
        file.write("');\n")
END_OF_PYTHON
}

if ((megabytes > 0)); then
    for kind in insert copy; do
        delta "$kind" "$kind" "$megabytes"
        delta "half_$kind" "$kind" "$((megabytes / 2))"
    done
    # One of the two was upgraded.
    rows="for database in town half; do psql -X -A -t -d \$database -c 'select count(*) from public.reading' 2>/dev/null
        done | { read -r count; test \"\$count\" -gt 1000; }"
    echo "a delta of $megabytes MB, INSERT statements of 500 bytes:"
    measure --before "$(fresh town half)" --after "$rows" --memory 100 --ratio 2.5 \
        --a "pum upgrade" "exec $(upgrade town insert)" --b "with the half" "exec $(upgrade half half_insert)"
    psql="exec psql -X -q -1 -v ON_ERROR_STOP=1 -d town -f '$work/insert/delta_1.1.0_much.sql'"
    measure --before "$(fresh town)" --a "psql -1 -f with the whole" "$psql"
    echo "a delta of $megabytes MB, the data of a COPY:"
    measure --before "$(fresh town half)" --after "$rows" --memory 100 --ratio 2.5 \
        --a "pum upgrade" "exec $(upgrade town copy)" --b "with the half" "exec $(upgrade half half_copy)"
    psql="exec psql -X -q -1 -v ON_ERROR_STOP=1 -d town -f '$work/copy/delta_1.1.0_much.sql'"
    measure --before "$(fresh town)" --a "psql -1 -f with the whole" "$psql"
    long=$((megabytes / 5))
    delta long one "$long"
    echo "a single statement of $long MB, which libpq and pum must hold whole:"
    measure --before "$(fresh town)" --memory "$((long * 7 + 50))" --a "pum upgrade" "exec $(upgrade town long)"
    rm -r "$work"/{insert,copy,half_insert,half_copy,long}
fi

if ((deltas > 0)); then
    for count in "$deltas" "$((deltas / 2))"; do
        mkdir "$work/many_$count"
        python3 - "$work/many_$count" "$count" <<'END_OF_PYTHON'
import pathlib
import sys

directory, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
for number in range(1, count + 1):
    (directory / f"delta_1.{number // 100}.{number % 100}_step_{number}.sql").write_text(
        f"create view public.step_{number} as select {number} as number;\n"
    )
END_OF_PYTHON
    done
    many=many_$deltas few=many_$((deltas / 2))
    for database in town half; do
        dropdb --if-exists --force "$database"
        createdb --template=empty "$database"
    done
    info() {
        echo "exec '$PUM' info -p dbname=$1 $options -d '$work/$2'"
    }
    beside() { # WHAT COMMAND COMMAND
        measure --memory 100 --ratio 2.5 --a "$1" "$2" --b "with the half" "$3"
    }
    echo "$deltas deltas of one statement, all due:"
    beside "pum info" "$(info town "$many")" "$(info half "$few")"
    beside "pum upgrade --dry-run" "exec $(upgrade town "$many" --dry-run)" "exec $(upgrade half "$few" --dry-run)"
    ROUNDS=1 beside "pum upgrade" "exec $(upgrade town "$many")" "exec $(upgrade half "$few")"
    echo "$deltas deltas, nothing due:"
    beside "pum upgrade" "exec $(upgrade town "$many")" "exec $(upgrade half "$few")"
    beside "pum info" "$(info town "$many")" "$(info half "$few")"
    dropdb town
    dropdb half
fi

if ((objects > 0)); then
    # A table of synthetic.py is ten objects and more: view, sequence, keys, indexes, checks, a trigger. Columns are not counted.
    for count in "$((objects / 10))" "$((objects / 20))"; do
        createdb "left_$count"
        python3 "$here/synthetic.py" "$count" | sed 's/^begin;$//; s/^commit;$//' |
            psql -X -q -v ON_ERROR_STOP=1 -d "left_$count"
        psql -X -q -d "left_$count" -c 'vacuum analyze'
        for right in same other; do
            createdb --template="left_$count" --strategy=file_copy "${right}_$count"
        done
        # Each table is otherwise.
        psql -X -A -t -d "other_$count" -c "select format('alter table %s alter remark drop default;', oid::regclass)
            from pg_class where relkind = 'r' and relname ~ '^pipe_'" | psql -X -q -v ON_ERROR_STOP=1 -d "other_$count"
    done
    whole=$((objects / 10)) half=$((objects / 20))
    snapshot() {
        echo "exec '$PUM' snapshot -p dbname=left_$1 -o '$work/$1.json'"
    }
    check() { # NUMBER RIGHT
        echo "exec '$PUM' check -p1 dbname=left_$1 -p2 $2"
    }
    report() {
        echo "'$PUM' check -p1 dbname=left_$1 -p2 dbname=other_$1 -o '$work/report.html' >/dev/null; test \$? = 1"
    }
    echo "two databases of $whole tables and all that belongs to them:"
    measure --memory 200 --ratio 2.5 --a "pum check" "$(check "$whole" "dbname=same_$whole")" \
        --b "with the half" "$(check "$half" "dbname=same_$half")"
    measure --memory 250 --ratio 2.5 --a "pum check, each table differs, a page" "$(report "$whole")" \
        --b "with the half" "$(report "$half")"
    measure --memory 200 --ratio 2.5 --a "pum snapshot" "$(snapshot "$whole")" --b "with the half" "$(snapshot "$half")"
    measure --memory 200 --ratio 2.5 --a "pum check with the snapshot" "$(check "$whole" "'$work/$whole.json'")" \
        --b "with the half" "$(check "$half" "'$work/$half.json'")"
    python3 - "$work/$whole.json" <<'END_OF_PYTHON'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    kinds = json.load(file)["kinds"]
counts = {name: len(kind["objects"]) for name, kind in kinds.items()}
columns = counts.pop("columns", 0)
print(f"the snapshot holds {sum(counts.values())} objects and {columns} columns")
END_OF_PYTHON
    echo
fi

if ((notices > 0)); then
    flood() { # DIRECTORY NOTICES CHARACTERS
        mkdir "$work/$1"
        cat >"$work/$1/delta_1.1.0_flood.sql" <<END_OF_SQL
do \$\$ begin for number in 1 .. $2 loop raise notice '% %', number, repeat('y', $3); end loop; end \$\$;
END_OF_SQL
    }
    flood short "$notices" 100
    flood long "$((notices / 100))" 10000
    # What 64 kB take to be read: 4 MB/s.
    cat >"$work/slow.py" <<'END_OF_PYTHON'
import os
import time

while os.read(0, 1 << 16):
    time.sleep(0.016)
END_OF_PYTHON
    for set in short long; do
        case $set in
            short) echo "$notices notices of 100 characters:" ;;
            long) echo "$((notices / 100)) notices of 10,000 characters:" ;;
        esac
        measure --memory 100 --before "$(fresh town)" \
            --a "pum upgrade, told in a file" "exec $(upgrade town "$set" --verbose) >'$work/told' 2>&1" \
            --after "test \$(stat -c %s '$work/told') -gt $((notices * 100))"
        measure --memory 100 --before "$(fresh town)" \
            --a "pum upgrade, a pipe that is read slowly" \
            "set -o pipefail; $(upgrade town "$set" --verbose) 2>&1 | python3 '$work/slow.py'"
        measure --memory 100 --before "$(fresh town)" --a "pum upgrade, not told" "exec $(upgrade town "$set")"
    done
fi
exit $kept
