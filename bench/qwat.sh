#!/usr/bin/env bash
# The upgrade test of QWAT's water model, as its project runs it: a 1.2.1 database with data is rehearsed,
# compared with a freshly built one, and upgraded to the newest version.
#
#   bench/qwat.sh DATA_MODEL DATA_SAMPLE
#
# DATA_MODEL   a checkout of https://github.com/qwat/qwat-data-model
# DATA_SAMPLE  a checkout of https://github.com/qwat/qwat-data-sample (one file of it is used)
#
# Environment:
#   PUM           our program; without it, the release build of this repository is made and used
#   PUM_ORIGINAL  the `pum` of pum 0.10 (in its virtual environment): it does the same, side by side
#   PUM_PYTHON    a Python that has our package and what QWAT's deltas import (psycopg2, PyYAML, setuptools<81): its command
#                 and `import pum` (by_library.py), in which Python deltas run in the process that calls, do the same too
#   ROUNDS        how often the upgrade test is repeated, alternating (default 1); medians are printed
#   PG_BIN        the directory of PostgreSQL's server programs, with PostGIS
#   KEEP          when set, the working directory with all output is left behind (not the server)
#
# Ends with 0 when everything went as it must.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$here/cluster.sh"
# shellcheck source-path=SCRIPTDIR source=pum.sh
. "$here/pum.sh"
export LC_ALL=C # EPOCHREALTIME with a point, sort by bytes

(($# == 2)) || fail "usage: bench/qwat.sh DATA_MODEL DATA_SAMPLE"
model=$(cd "$1" && pwd) || exit 1
sample=$(cd "$2" && pwd)/qwat_v1.2.1_data_and_structure_sample.backup || exit 1
[[ -x $model/datamodel/scripts/setup.sh ]] || fail "$model is no checkout of qwat-data-model"
[[ $(head -c 5 "$sample") == PGDMP ]] || fail "$sample is no PostgreSQL archive"

sides=(pum)
declare -A program=([pum]=$PUM)
if [[ -n ${PUM_ORIGINAL:-} ]]; then
    # Not resolved: a link in a virtual environment is what makes Python use it.
    [[ -x $PUM_ORIGINAL ]] || fail "PUM_ORIGINAL is no program"
    program[original]=$(cd "$(dirname "$PUM_ORIGINAL")" && pwd)/$(basename "$PUM_ORIGINAL")
    sides+=(original)
fi

if [[ -n ${PUM_PYTHON:-} ]]; then
    [[ -x $PUM_PYTHON ]] || fail "PUM_PYTHON is no program"
    program[wheel]="$(cd "$(dirname "$PUM_PYTHON")" && pwd)/$(basename "$PUM_PYTHON")"
    program[library]=${program[wheel]}
    sides+=(wheel library)
fi

rounds=${ROUNDS:-1}
[[ $rounds =~ ^[1-9][0-9]*$ ]] || fail "ROUNDS is no number"

work=$(mktemp -d "${TMPDIR:-/tmp}/pum-qwat.XXXXXX")
clean_up() {
    stop_clusters
    if [[ -n ${KEEP:-} ]]; then
        echo "output left in $work"
    else
        rm -rf "$work"
    fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The model's own scripts are Python: one environment for both sides, without any pum in it.
python_modules=(psycopg2 yaml pkg_resources)
make_python() {
    local modules
    modules=$(IFS=,; echo "${python_modules[*]}")
    if python3 -c "import $modules" 2>/dev/null && ! python3 -c "import pum" 2>/dev/null; then
        return
    fi
    if ! {
        python3 -m venv "$work/python" &&
            "$work/python/bin/pip" install --quiet psycopg2-binary pyyaml 'setuptools<81'
    }; then
        fail "QWAT's scripts need a python3 with ${python_modules[*]}; it could not be made"
    fi
    PATH=$work/python/bin:$PATH
}

# failures counts what did not go as it must.
failures=0
expect() {
    local wanted=$1 got=$2 what=$3
    if [[ $wanted != "$got" ]]; then
        echo "NOT AS EXPECTED: $what ended with $got instead of $wanted"
        failures=$((failures + 1))
    fi
}

# measure SIDE STEP COMMAND...: runs it with that side's pum in PATH, output to a file; the time goes to
# `times`, the exit code to `status`.
declare -A times
measure() {
    local side=$1 step=$2 begin
    shift 2
    output=$work/$side-$step.txt
    begin=$EPOCHREALTIME
    PATH=$work/bin-$side:$PATH "$@" >"$output" 2>&1
    status=$?
    times[$side $step]+=" $(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }')"
}

median() {
    tr ' ' '\n' <<<"$1" | sed '/^$/d' | sort -n |
        awk '{ v[NR] = $1 } END { m = int((NR + 1) / 2); print NR % 2 ? v[m] : (v[m] + v[m + 1]) / 2 }'
}

# A cluster for each side, because QWAT's setup.sh drops and creates roles.
sql() { PGHOST=$work/$side psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --dbname=postgres; }

# Services by which both the programs and QWAT's scripts find the databases.
write_services() {
    local side kind
    export PGSERVICEFILE=$work/pg_service.conf
    for side in "${sides[@]}"; do
        for kind in prod test comp; do
            printf '[%s_%s]\nhost=%s\nport=%s\nuser=%s\ndbname=%s_%s\n\n' \
                "$side" $kind "$work/$side" "$PGPORT" "$PGUSER" "$side" $kind
        done
    done >"$PGSERVICEFILE"
}

# build SIDE: production at 1.2.1 and the expected database, kept as templates.
build() {
    local side=$1 deltas=(datamodel/update/delta/ "$work/delta/")
    echo "CREATE DATABASE ${side}_prod; CREATE DATABASE ${side}_comp;" | sql
    measure "$side" restore pum restore -p "${side}_prod" "$sample"
    expect 0 $status "$side: restore"
    measure "$side" baseline pum baseline -p "${side}_prod" -t qwat_sys.info -d "${deltas[@]}" -b 1.2.1
    expect 0 $status "$side: baseline"
    measure "$side" setup datamodel/scripts/setup.sh -p "${side}_comp" -s 21781 -r -n
    expect 0 $status "$side: QWAT's setup.sh"
    psql --quiet --dbname="service=${side}_comp" --file="$work/delta/delta_1.2.1_extra_delta_for_test.sql"
    measure "$side" baseline pum baseline -p "${side}_comp" -t qwat_sys.info -d "${deltas[@]}" \
        -b "$(cat datamodel/system/CURRENT_VERSION.txt)"
    expect 0 $status "$side: second baseline"
    echo "ALTER DATABASE ${side}_prod RENAME TO ${side}_prod0; ALTER DATABASE ${side}_comp RENAME TO ${side}_comp0;" | sql
}

# rehearse SIDE: the call from QWAT's own continuous integration, on fresh copies.
rehearse() {
    local side=$1 kind
    for kind in prod test comp; do
        echo "DROP DATABASE IF EXISTS ${side}_$kind WITH (FORCE);"
    done | sql 2>/dev/null
    echo "CREATE DATABASE ${side}_prod TEMPLATE ${side}_prod0; CREATE DATABASE ${side}_test;
          CREATE DATABASE ${side}_comp TEMPLATE ${side}_comp0; CHECKPOINT;" | sql
    rm -f "$work/$side.dump"
    # shellcheck disable=SC2016 # expanded by the inner shell
    measure "$side" test-and-upgrade bash -c 'yes 2>/dev/null | "$@"; exit "${PIPESTATUS[1]}"' - \
        pum test-and-upgrade -pp "${side}_prod" -pt "${side}_test" -pc "${side}_comp" -t qwat_sys.info \
        -d datamodel/update/delta/ "$work/delta/" -f "$work/$side.dump" -i views rules triggers
    expect 0 $status "$side: test-and-upgrade"
    if ((status != 0)); then
        cat "$output"
    fi
    measure "$side" check-ignoring pum check -p1 "${side}_prod" -p2 "${side}_comp" -i views rules triggers
    # The original compares the names of sequences only. A rehearsal tells their types and goes on; check counts them.
    expect "$([[ $side == original ]] && echo 0 || echo 1)" $status "$side: check -i views rules triggers"
    measure "$side" check pum check -p1 "${side}_prod" -p2 "${side}_comp"
    expect 1 $status "$side: check"
}

# The upgraded database as text: what both sides must have made alike. Left out: the table of upgrades, and
# what holds times or numbers that depend on the order of rows (the audit log, the network).
contents() {
    {
        pg_dump --schema-only --exclude-table='qwat_sys.info*' --dbname="service=$1" &&
            pg_dump --data-only --exclude-table='qwat_sys.info*' --exclude-table=qwat_sys.logged_actions \
                --exclude-schema=qwat_network --dbname="service=$1" 2>/dev/null | sort
    } | grep -v '^.\(un\)\?restrict'
}

compare() {
    local database
    for database in "$1" "$2"; do
        contents "$database" >"$work/$database.sql" || fail "$database cannot be dumped"
    done
    if diff "$work/$1.sql" "$work/$2.sql" >"$work/$1-$2.diff"; then
        echo "$1 and $2 hold the same structure and the same data."
    else
        echo "NOT AS EXPECTED: $1 and $2 differ:"
        head -n 20 "$work/$1-$2.diff"
        failures=$((failures + 1))
    fi
}

print_times() {
    local step side ours theirs
    printf '\n%-42s %8s' "seconds" pum
    for side in "${sides[@]:1}"; do printf ' %9s %6s' "$side" ratio; done
    echo
    for step in restore setup test-and-upgrade check-ignoring check; do
        ours=$(median "${times[pum $step]}")
        printf '%-42s %8.2f' "$step" "$ours"
        for side in "${sides[@]:1}"; do
            theirs=$(median "${times[$side $step]}")
            printf ' %9.2f %6.2f' "$theirs" "$(awk -v a="$ours" -v b="$theirs" 'BEGIN { print a / b }')"
        done
        echo
    done
}

make_python
mkdir "$work/delta"
for side in "${sides[@]}"; do
    mkdir "$work/bin-$side"
    if [[ $side == pum ]]; then
        ln -s "${program[$side]}" "$work/bin-$side/pum"
    elif [[ $side == wheel || $side == library ]]; then
        how=$([[ $side == wheel ]] && echo '-m pum' || printf '%q' "$here/by_library.py")
        printf '#!/bin/sh\nexec %q %s "$@"\n' "${program[$side]}" "$how" >"$work/bin-$side/pum"
        chmod +x "$work/bin-$side/pum"
    else # its own directory first: the same environment must serve it and its Python deltas
        cat >"$work/bin-$side/pum" <<END
#!/bin/sh
PATH='$(dirname "${program[$side]}")':\$PATH exec '${program[$side]}' "\$@"
END
        chmod +x "$work/bin-$side/pum"
    fi
done
# A second directory of deltas, as in the project's own test.
echo 'CREATE TABLE qwat_table_test_ (qwat_column_test_ text);' >"$work/delta/delta_1.2.1_extra_delta_for_test.sql"

for side in "${sides[@]}"; do
    start_cluster "$work/$side"
    for role in qwat_viewer qwat_user qwat_manager qwat_sysadmin; do
        echo "CREATE ROLE $role;"
    done | sql
done
unset PGHOST
write_services
cd "$model" || exit 1

echo "$("$programs/postgres" --version); $("$PUM" --version)"
for side in "${sides[@]}"; do
    build "$side"
done
for ((round = 0; round < rounds; round++)); do
    for side in "${sides[@]}"; do
        rehearse "$side"
    done
done
print_times
echo
compare pum_prod pum_test
for side in "${sides[@]:1}"; do compare pum_prod "${side}_prod"; done
echo
echo "pum check -v 0 of the upgraded database against the fresh one:"
head -n 12 "$work/pum-check.txt"
if ((failures)); then
    echo "$failures of the steps did not go as they must"
    exit 1
fi
