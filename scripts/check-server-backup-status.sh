#!/bin/sh
# Says how the backups of quota-proxy go, and fails when somebody has to do something about it. Changes nothing.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=lib/server.sh
. "$here/lib/server.sh"

show_help() {
  cat <<END
Usage: $script [options]

Say how backups go: whether they are scheduled, how the latest went and how old
it is, and where it lies. Fails if the latest attempt failed, if what is
scheduled is overdue, if a backup has been damaged, or if there is none at all.
With --verify, the newest backup is restored to a scratch file and examined.

Options:
  --verify            look into the newest backup, too
$SERVER_OPTIONS

$EXIT_CODES

Examples:
  $script
  $script --verify
  $script --url https://proxy.example --token-file token.txt --json
END
}

verify=''
while [ "$#" -gt 0 ]; do
  case $1 in
    --verify)
      verify=1
      shift
      ;;
    *)
      take_option "$@"
      shift "$taken"
      ;;
  esac
done
[ -z "$verify" ] || [ -z "$url" ] || misuse 'Backups are verified where they lie: --verify goes without --url.'
find_server

result=0
administer backup status ${json:+--json} </dev/null || result=$?
if [ -n "$verify" ] && [ -n "$json" ]; then
  quota_proxy backup verify </dev/null >&2 || result=1
elif [ -n "$verify" ]; then
  quota_proxy backup verify </dev/null || result=1
fi
exit "$result"
