# shellcheck shell=bash
# The pum to measure, in $PUM: what the environment names, or the release build of this repository. Sourced
# after cluster.sh.

bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${PUM:-} ]]; then
    (cd "$bench/.." && cargo build --quiet --release --package pum-cli) || fail "pum does not compile"
    PUM=${CARGO_TARGET_DIR:-$bench/../target}/release/pum
fi
[[ -x $PUM ]] || fail "PUM is no program"
PUM=$(realpath "$PUM")
export PUM
