#!/usr/bin/env bash
# Several migration tools on the same grid of faults, against a PostgreSQL server of its own.
#
#   bench/peers-grid.sh [--from DIR] [--tools NAME,NAME] [--points N] [--jobs N] [--json FILE]
#   bench/peers-grid.sh --report FILE... prints the tables of earlier runs again
#   bench/peers-grid.sh --install DIR    puts the tools there (npm, pip, cargo: minutes), for --from
#
# Tools that are neither in DIR nor in PATH are skipped, with a word. Sqitch and sql-migrate are Debian's packages
# (apt-get install sqitch libdbd-pg-perl sql-migrate).
#
# Environment: PUM, PUM_ORIGINAL, PG_BIN, SERVER_USER as for the other scripts here.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$here/cluster.sh"

install_tools() {
    local directory
    mkdir -p "$1" && directory=$(cd "$1" && pwd) || exit 1
    npm install --no-audit --no-fund --prefix "$directory/npm" dbmate node-pg-migrate pg liquibase@4.28.1
    install_python pum-0.10 pum==0.10.0 psycopg2-binary 'setuptools<81'
    install_python yoyo yoyo-migrations psycopg2-binary 'setuptools<81'
    install_python alembic alembic psycopg2-binary
    nice cargo install --locked --root "$directory/cargo" sqlx-cli --no-default-features --features rustls,postgres
    nice cargo install --locked --root "$directory/cargo" refinery_cli --no-default-features --features postgresql
    echo "now: bench/peers-grid.sh --from $directory"
}

# install_python NAME PACKAGE...: a virtual environment in the directory of install_tools.
install_python() {
    local environment=$directory/$1
    shift
    python3 -m venv "$environment" && "$environment/bin/pip" install --quiet "$@"
}

if [[ ${1:-} == --install ]]; then
    (($# == 2)) || fail "usage: bench/peers-grid.sh --install DIR"
    install_tools "$2"
    exit
fi
for argument in "$@"; do
    if [[ $argument == -h || $argument == --help || $argument == --report ]]; then
        exec python3 "$here/peers/grid.py" "$@"
    fi
done
# shellcheck source-path=SCRIPTDIR source=pum.sh
. "$here/pum.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/pum-peers.XXXXXX")
trap 'stop_clusters; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start_cluster "$work/server" "max_connections = 60"
PYTHONDONTWRITEBYTECODE=1 python3 "$here/peers/grid.py" "$@"
