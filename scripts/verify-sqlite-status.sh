#!/bin/sh
# Examines the database of quota-proxy: the file and who may read it, its journal and schema, and everything that
# `quota-proxy doctor` looks at. Changes nothing, and does not disturb a running server.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=lib/server.sh
. "$here/lib/server.sh"
# shellcheck source=lib/findings.sh
. "$here/lib/findings.sh"

show_help() {
  cat <<END
Usage: $script [options]

Examine the SQLite database: is it there, closed to others, in WAL mode and of
the schema of this version; do the books balance, is the file whole, is there
room, are there backups? Changes nothing; a running server is not disturbed.
With --url, the server examines its own database.

Options:
$SERVER_OPTIONS

$EXIT_CODES

Examples:
  $script
  DATA_DIR=/var/lib/quota-proxy $script --json
END
}

while [ "$#" -gt 0 ]; do
  take_option "$@"
  shift "$taken"
done
find_server

# `ls` is the only portable way to ask for a mode.
look_at_file() {
  listed=$(there ls -ldn "$1")
  mode=${listed%% *}
  case $mode in
    -???------*) ok permissions "$mode: closed to others" ;;
    *) bad permissions "$mode: others on this machine can get at it; chmod 600 $1" ;;
  esac
}

# Bytes 18 and 19 of the header are 2 in WAL mode (sqlite.org/fileformat.html, section 1.3.3).
look_at_journal() {
  versions=$(there od -An -tu1 -j18 -N2 "$1" | tr -d ' \n')
  if [ "$versions" != 22 ]; then
    bad journal 'not in WAL mode; the server sets it when it starts'
  elif there test -e "$1-wal"; then
    ok journal 'WAL mode; the log is there, as while it is served'
  else
    ok journal 'WAL mode; there is no log, as when nobody serves it'
  fi
}

look_at_schema() {
  if quota_proxy migrate --status >/dev/null 2>&1 </dev/null; then
    ok schema 'that of this version'
  else
    bad schema 'not that of this version; see: quota-proxy migrate --status'
  fi
}

if [ -z "$url" ]; then
  database=$(setting DATABASE_URL)
  path=${database#file:}
  if [ "$database" = :memory: ]; then
    bad file 'DATABASE_URL is :memory:, so a restart forgets everything'
    conclude
  elif ! there test -f "$path"; then
    bad file "there is none at $path; set DATA_DIR or DATABASE_URL to the one that is served"
    conclude
  fi
  ok file "$path"
  look_at_file "$path"
  look_at_journal "$path"
  look_at_schema
fi

if [ -n "$json" ]; then
  examination=$(administer doctor --json </dev/null) || is_well=false
  members="\"doctor\":${examination:-null}"
else
  administer doctor </dev/null || is_well=false
fi
conclude
