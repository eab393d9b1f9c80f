#!/usr/bin/env bash
# What `make run` runs: the daemon in the foreground and, on a terminal, what its workers write beside it.
set -euo pipefail
cd "$(dirname "$0")/../.."
file=configs/quickstart.toml

[ -t 0 ] && [ -t 1 ] || exec fleetd start -c "$file"

cat <<EOF
In another terminal:  .venv/bin/fleetd status -c $file     (or events -f, scale hash=4, restart hash)
Here:                 Ctrl-C lets the jobs in hand finish and ends everything.

EOF
# With job control the daemon has the terminal to itself: Ctrl-C reaches it alone, and make sees how it ended.
set -m
trap 'exit 130' INT # in the moment before the daemon has the terminal
(
  until fleetd health -c "$file" >/dev/null 2>&1; do sleep 0.2; done
  exec fleetd logs -f -n 0 -c "$file" hash compress 2>/dev/null # its end is the end of the daemon
) &
follower=$!
trap 'kill -- "-$follower" 2>/dev/null || true' EXIT
fleetd start -c "$file"
