#!/bin/sh
# Says in one line how the backups of quota-proxy go: for a prompt, a message or a status page. Changes nothing.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=lib/server.sh
. "$here/lib/server.sh"

show_help() {
  cat <<END
Usage: $script [options]

Say in one line how backups go: "ok" or "FAIL", how many are kept, and what
check-server-backup-status.sh says in several lines.

Options:
$SERVER_OPTIONS

$EXIT_CODES

Examples:
  $script
  $script || echo 'look at the backups'
END
}

while [ "$#" -gt 0 ]; do
  take_option "$@"
  shift "$taken"
done
find_server
if [ -n "$json" ]; then
  administer backup status --json </dev/null
else
  administer backup status --short </dev/null
fi
