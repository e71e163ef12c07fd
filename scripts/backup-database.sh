#!/bin/sh
# Backs up the database of quota-proxy now, whether it is being served or not, and says where the backup is. One that
# could not be restored and compared does not count as made.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=lib/server.sh
. "$here/lib/server.sh"

show_help() {
  cat <<END
Usage: $script [options]

Back up the database now, into BACKUP_DIR, and to the storage of BACKUP_S3_URL if
that is set. Calls are served meanwhile. The backup is verified by restoring it
to a scratch file and comparing what is in it; old ones are then removed as
BACKUP_KEEP and BACKUP_KEEP_DAYS say. Prints the path of the backup.

Options:
$SHARED_OPTIONS

$EXIT_CODES

Examples:
  $script
  BACKUP_DIR=/mnt/backups $script --json
END
}

while [ "$#" -gt 0 ]; do
  take_option "$@"
  shift "$taken"
done
[ -z "$url" ] || misuse 'Backups are made where the database is: --url is of no use here.'
find_server
quota_proxy backup create ${json:+--json} </dev/null
