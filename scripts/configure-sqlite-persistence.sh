#!/bin/sh
# Sees to it that the database of quota-proxy outlives whatever may happen to its process: checks where it lies, or puts it
# where it lasts. A change is asked about, made at once or not at all, and never moves or removes any data.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=lib/server.sh
. "$here/lib/server.sh"
# shellcheck source=lib/findings.sh
. "$here/lib/findings.sh"
# shellcheck source=lib/settings-file.sh
. "$here/lib/settings-file.sh"

show_help() {
  cat <<END
Usage: $script --check [options]
       $script [--database-url <url>] [--durability <how>] [options]

With --check: will the database outlive a restart? Looks whether it is a file, in
a directory that can be written to, on a file system that is local and lasts (in
compose: on a volume), with room; and says what DURABILITY promises.

Without: sets DATABASE_URL and DURABILITY in the file of settings, after asking.
A database in memory becomes a file in DATA_DIR unless told otherwise. Data is
not moved.

Options:
  --check             look, and change nothing
  --database-url <url> where the database is to be, such as file:/data/quota.db
  --durability <how>  normal, or full: survives a power cut, too
$CHANGE_OPTIONS
$SHARED_OPTIONS

$EXIT_CODES

Examples:
  $script --check
  $script --durability full --dry-run
END
}

check=''
database=''
durability=''
while [ "$#" -gt 0 ]; do
  case $1 in
    --check)
      check=1
      shift
      ;;
    --database-url | --durability)
      [ -n "${2-}" ] || misuse "$1 needs a value."
      case $1 in
        --durability) durability=$2 ;;
        *) database=$2 ;;
      esac
      shift 2
      ;;
    *)
      take_change_option "$@"
      shift "$taken"
      ;;
  esac
done
find_server

# As `quota-proxy doctor` has it: below this, calls are soon refused.
FREE_KIB_MIN=262144

check_persistence() {
  url=$(setting DATABASE_URL)
  if [ "$url" = :memory: ]; then
    bad database 'DATABASE_URL is :memory:, so a restart forgets everything'
    conclude
  fi
  path=${url#file:}
  directory=$(dirname "$path")
  if there test -f "$path"; then
    ok database "$path"
  else
    bad database "there is none at $path yet; it is made when the server starts"
  fi
  if ! there test -d "$directory"; then
    bad directory "there is no $directory yet; it is made when the server starts"
    conclude
  fi
  check_directory
  [ "$place" = host ] || check_volume
  check_file_system
  check_room
  case $(setting DURABILITY) in
    full) ok durability 'full: answered calls survive a power cut' ;;
    *) ok durability 'normal: answered calls survive the death of the process; a power cut may undo the newest' ;;
  esac
  conclude
}

check_directory() {
  owner=$(there ls -ldn "$directory" | awk '{ print $3 }')
  user=$(there id -u)
  if ! there test -w "$directory"; then
    bad directory "user $user cannot write to $directory, which belongs to user $owner"
  elif [ "$owner" != "$user" ]; then
    bad directory "$directory belongs to user $owner, and quota-proxy runs as $user; what one makes the other cannot read"
  else
    ok directory "$directory can be written to, and belongs to user $owner"
  fi
}

# What lies on no mount of its own goes with the container.
check_volume() {
  mount=$(there df -P "$directory" | awk 'NR == 2 { print $6 }')
  if [ "$mount" = / ]; then
    bad volume "$directory is in the container itself, and goes with it; mount a volume there"
  else
    ok volume "$mount is mounted from outside the container"
  fi
}

# GNU stat names it; others are asked for nothing that they would not say.
check_file_system() {
  kind=$(there stat -f -c %T "$directory" 2>/dev/null) || kind='of unknown kind'
  case $kind in
    tmpfs | ramfs) bad filesystem "$kind is memory: a restart of the machine empties it" ;;
    overlay*) bad filesystem "$kind is the container's own layer: it goes with the container" ;;
    nfs* | smb* | cifs | 9p | v9fs | afs | ceph | lustre | gfs* | ocfs2)
      bad filesystem "$kind is shared over a network, where SQLite cannot lock: use a local disk"
      ;;
    *) ok filesystem "$kind" ;;
  esac
}

check_room() {
  free=$(there df -Pk "$directory" | awk 'NR == 2 { print $4 }')
  if [ "$free" -lt "$FREE_KIB_MIN" ]; then
    bad disk "$((free / 1024)) MiB free; calls are refused when it is full"
  else
    ok disk "$((free / 1024)) MiB free"
  fi
}

if [ -n "$check" ]; then
  [ -z "$database$durability$dry_run$yes" ] || misuse '--check changes nothing, so it goes alone.'
  check_persistence
fi

find_settings_file
before=$(setting DATABASE_URL)
if [ -z "$database" ] && [ "$before" = :memory: ]; then
  database=file:$(setting DATA_DIR)/quota.db
fi
case $database in
  '' | file:?*) ;;
  *) misuse 'The database must be a file: --database-url file:/data/quota.db' ;;
esac

set --
[ -z "$database" ] || set -- "$@" "DATABASE_URL=$database"
[ -z "$durability" ] || set -- "$@" "DURABILITY=$durability"
[ "$#" -eq 0 ] || draft_settings "$@"
if [ -z "$changed" ]; then
  ok settings 'there is nothing to change'
  conclude
elif [ -n "$dry_run" ]; then
  ok settings "$settings_file would be changed: $*"
  conclude
fi
if [ -n "$database" ] && [ "$database" != "$before" ] && [ "$before" != :memory: ]; then
  printf '%s\n' "What is in ${before#file:} is not moved: stop the server and move it yourself." >&2
fi
confirm "Change $settings_file?"
commit_settings
ok settings "$settings_file has been changed: $*"
ok next "$(next_step restart)"
conclude
