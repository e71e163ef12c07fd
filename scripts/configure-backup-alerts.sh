#!/bin/sh
# Turns on the automatic backups of quota-proxy and has somebody told when they fail, or says how far both have come. A
# change is asked about and made at once or not at all; what else is in the files stays as it is, and is not shown.
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
Usage: $script [--schedule <cron>] [--keep <number>] [--webhook <url>] [options]
       $script --check [options]

Sets BACKUP_SCHEDULE and BACKUP_KEEP in the file of settings, after asking: every
night at 03:17 UTC, unless another schedule is given or set already. --webhook
makes a copy of deploy/monitoring/alertmanager.yml that sends alerts there; the
alerts themselves (a backup is overdue, a backup has failed) are in rules.yml
beside it.

With --check: are backups scheduled and made, do the rules watch them, and does
Alertmanager know whom to tell?

Options:
  --schedule <cron>   when to back up, five fields, in UTC
  --keep <number>     how many backups are kept
  --webhook <url>     who is told; - reads the URL from standard input
  --alertmanager <file> the copy for Alertmanager; that of ALERTMANAGER_CONFIG
                      otherwise, or alertmanager.yml beside the settings
  --check             look, and change nothing
$CHANGE_OPTIONS
$SHARED_OPTIONS

$EXIT_CODES

Examples:
  $script
  $script --schedule '0 */6 * * *' --keep 28 --dry-run
  $script --webhook https://hooks.example.org/quota-proxy --yes
  $script --check
END
}

check=''
schedule=''
keep=''
webhook=''
alertmanager=''
while [ "$#" -gt 0 ]; do
  case $1 in
    --check)
      check=1
      shift
      ;;
    --schedule | --keep | --webhook | --alertmanager)
      [ -n "${2-}" ] || misuse "$1 needs a value."
      case $1 in
        --schedule) schedule=$2 ;;
        --keep) keep=$2 ;;
        --webhook) webhook=$2 ;;
        *) alertmanager=$2 ;;
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
find_settings_file

# A night's quiet hour, and a minute that not everybody has chosen.
SCHEDULE='17 3 * * *'
# What deploy/monitoring/alertmanager.yml has where the URL belongs.
NOWHERE='url: http://webhook.invalid/'

shipped=$root/deploy/monitoring
if [ -z "$alertmanager" ]; then
  case ${ALERTMANAGER_CONFIG-} in
    '') alertmanager=$(dirname "$settings_file")/alertmanager.yml ;;
    /*) alertmanager=$ALERTMANAGER_CONFIG ;;
    *) alertmanager=$(dirname "$settings_file")/${ALERTMANAGER_CONFIG#./} ;;
  esac
fi

check_alerts() {
  schedule=$(setting BACKUP_SCHEDULE)
  if [ -n "$schedule" ]; then
    ok schedule "$schedule in UTC; $(setting BACKUP_KEEP) are kept"
  else
    bad schedule "none; $script turns it on"
  fi
  if summary=$(quota_proxy backup status --short 2>&1 </dev/null); then
    ok backups "$summary"
  else
    bad backups "$summary"
  fi
  if grep -q 'quota_proxy_backup_failed' "$shipped/rules.yml" 2>/dev/null &&
    grep -q 'quota_proxy_backup_last_success_timestamp_seconds' "$shipped/rules.yml"; then
    ok rules "$shipped/rules.yml has alerts for backups that fail and for backups that are overdue"
  else
    bad rules "$shipped/rules.yml has no alerts for backups"
  fi
  if [ ! -r "$alertmanager" ]; then
    bad webhook "nobody is told: there is no $alertmanager; --webhook makes it"
  elif grep -q -F "$NOWHERE" "$alertmanager"; then
    bad webhook "nobody is told: $alertmanager still has the URL that it was shipped with; --webhook sets your URL"
  else
    ok webhook "$alertmanager says who is told"
  fi
  conclude
}

# Prepares the copy for Alertmanager. `other_draft` stays empty if there is nothing to change.
draft_webhook() {
  source=$alertmanager
  [ -e "$source" ] || source=$shipped/alertmanager.yml
  [ -r "$source" ] || fail "$source cannot be read."
  if ! grep -q -F "$NOWHERE" "$source"; then
    grep -q -F "url: $webhook" "$source" || fail "$alertmanager has another webhook already: change it there."
    return 0
  fi
  other_draft=$(mktemp "$alertmanager.XXXXXX" 2>/dev/null) ||
    fail "Nothing can be written to the directory of $alertmanager."
  # The user of Alertmanager's container is another one.
  chmod 644 "$other_draft"
  WEBHOOK=$webhook NOWHERE=$NOWHERE awk '
    { at = index($0, ENVIRON["NOWHERE"]) }
    at { $0 = substr($0, 1, at + 4) ENVIRON["WEBHOOK"] }
    { print }
  ' "$source" >"$other_draft"
}

if [ -n "$check" ]; then
  [ -z "$schedule$keep$webhook$dry_run$yes" ] || misuse '--check changes nothing, so it goes alone.'
  check_alerts
fi

[ "$webhook" != - ] || read -r webhook || misuse 'There is no URL on standard input.'
case $webhook in
  *[!A-Za-z0-9:/?\&=%._~+@,\;\#-]*) misuse 'The webhook has a character that a URL must escape.' ;;
  '' | http://?* | https://?*) ;;
  *) misuse 'The webhook must be a URL that begins with http:// or https://.' ;;
esac

before=$(setting BACKUP_SCHEDULE)
[ -n "$schedule$before" ] || schedule=$SCHEDULE
set --
[ -z "$schedule" ] || set -- "$@" "BACKUP_SCHEDULE=$schedule"
[ -z "$keep" ] || set -- "$@" "BACKUP_KEEP=$keep"
# For compose alone; it is no setting of quota-proxy, whose own file may hold nothing else.
if [ -n "$webhook" ] && [ -z "${ALERTMANAGER_CONFIG-}$is_config_file" ]; then
  set -- "$@" "ALERTMANAGER_CONFIG=$alertmanager"
fi
[ -z "$webhook" ] || draft_webhook
[ "$#" -eq 0 ] || draft_settings "$@"

if [ -z "$changed$other_draft" ]; then
  ok settings "there is nothing to change: $(setting BACKUP_SCHEDULE)"
elif [ -n "$dry_run" ]; then
  [ -z "$changed" ] || ok settings "$settings_file would be changed: $*"
  [ -z "$other_draft" ] || ok webhook "$alertmanager would be written, with the webhook in it"
else
  confirm "Change ${changed:+$settings_file}${changed:+${other_draft:+ and }}${other_draft:+$alertmanager}?"
  commit_settings
  [ -z "$changed" ] || ok settings "$settings_file has been changed: $*"
  if [ -n "$other_draft" ]; then
    mv -f "$other_draft" "$alertmanager"
    ok webhook "$alertmanager has been written; docker compose --profile monitoring up -d --force-recreate alertmanager"
  fi
  [ -z "$changed" ] || ok next "$(next_step live)"
fi
conclude
