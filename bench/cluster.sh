# shellcheck shell=bash
# A throw-away PostgreSQL server for the benchmarks: sourced, not run.
#
#   start_cluster DIRECTORY [SETTING...]   make and start one in DIRECTORY (to be made); sockets only, no TCP
#   stop_clusters                          stop all that were started
#
# After start_cluster, psql and every libpq program reach the newest one through PGHOST, PGPORT and PGUSER.
# PG_BIN names the directory of the server programs when they are in no usual place.
# PostgreSQL refuses to run as root: root hands the server to SERVER_USER (default postgres).

clusters=()
programs=

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# Prints the directory that holds the server programs.
server_programs() {
    local directory
    for directory in "${PG_BIN:-}" /usr/lib/postgresql/15/bin /usr/pgsql-15/bin \
        /usr/lib/postgresql/*/bin /usr/pgsql-*/bin "$(pg_config --bindir 2>/dev/null)"; do
        if [[ -x "$directory/initdb" ]]; then
            echo "$directory"
            return
        fi
    done
    fail "no PostgreSQL server programs found; install them (Debian: apt-get install postgresql) or set PG_BIN"
}

as_server_user() {
    if ((EUID == 0)); then
        runuser -u "${SERVER_USER:-postgres}" -- "$@"
    else
        "$@"
    fi
}

start_cluster() {
    local cluster=$1 setting
    shift
    programs=$(server_programs) || exit 1
    if ((EUID == 0)); then
        id -u "${SERVER_USER:-postgres}" >/dev/null 2>&1 ||
            fail "a PostgreSQL server does not run as root; set SERVER_USER to another user"
        chmod 711 "$(dirname "$cluster")"
        install -d -m 755 -o "${SERVER_USER:-postgres}" "$cluster"
    else
        mkdir "$cluster"
    fi
    cd "$cluster" || exit 1 # the server's user may not enter the caller's directory
    as_server_user "$programs/initdb" --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C \
        --pgdata="$cluster/data" >/dev/null || fail "initdb failed"
    {
        echo "listen_addresses = ''"
        echo "unix_socket_directories = '$cluster'"
        echo "fsync = off"
        for setting in "$@"; do
            echo "$setting"
        done
    } | as_server_user tee -a "$cluster/data/postgresql.conf" >/dev/null
    as_server_user "$programs/pg_ctl" --pgdata="$cluster/data" --log="$cluster/log" --wait start >/dev/null ||
        fail "the server did not start: $(tail -n 3 "$cluster/log")"
    clusters+=("$cluster")
    unset PGSERVICE PGDATABASE PGOPTIONS PGHOSTADDR PGPASSWORD
    export PGHOST=$cluster PGPORT=5432 PGUSER=postgres
    PATH=$programs:$PATH
    cd "$OLDPWD" || exit 1
}

stop_clusters() {
    local cluster
    for cluster in "${clusters[@]}"; do
        (cd / && as_server_user "$programs/pg_ctl" --pgdata="$cluster/data" --mode=immediate --wait stop) >/dev/null
    done
    clusters=()
}
