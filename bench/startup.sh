#!/usr/bin/env bash
# The time in which `pum -v` starts and ends, beside `psql --version`.
#
#   bench/startup.sh
#
# Environment: PUM (see bench/README.md), ROUNDS (default 50).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=cluster.sh
. "$here/cluster.sh"
# shellcheck source-path=SCRIPTDIR source=pum.sh
. "$here/pum.sh"

# Debian's psql is a script around the real one.
psql=$(server_programs)/psql

# bash, which starts both, is part of both times.
"$here/measure.py" --rounds "${ROUNDS:-50}" --seconds 0.02 \
    --a "pum -v" "exec '$PUM' -v" --b "psql --version" "exec '$psql' --version"
