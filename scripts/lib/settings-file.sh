# shellcheck shell=sh disable=SC2034,SC2154 # Some names are those of server.sh, others for whoever reads this file.
# Changes settings in the file that they are kept in: all at once or not at all, after the program has found them valid and
# somebody has agreed. Every other line stays as it is, and none of them is shown.

yes=''
dry_run=''
settings_file=''
is_config_file='' # not empty: the server reads it by itself
draft=''
other_draft='' # of another file that is changed along with it
changed='' # lines, with - and + before them
new_file_ok=1 # read_settings need not find it

CHANGE_OPTIONS="  --dry-run           show what would be changed, and change nothing
  -y, --yes           do not ask"

# Uses one option of those above or of server.sh.
take_change_option() {
  taken=1
  case $1 in
    --dry-run) dry_run=1 ;;
    -y | --yes) yes=1 ;;
    --url | --token-file | --cacert)
      misuse "The settings of a server are changed where they are: $1 is of no use here."
      ;;
    *) take_option "$@" ;;
  esac
}

# The file that the server reads, or is started with.
find_settings_file() {
  if [ -n "$env_file" ]; then
    settings_file=$env_file
  elif [ "$place" = compose ]; then
    settings_file=$compose_dir/.env
  else
    settings_file=${CONFIG_FILE:-.env}
  fi
  [ "$settings_file" != "${CONFIG_FILE-}" ] || is_config_file=1
  # What is replaced must be the file, not the link to it.
  [ ! -L "$settings_file" ] || settings_file=$(readlink -f "$settings_file")
}

# draft_settings NAME=VALUE… prepares the file and shows in what it differs. `changed` stays empty if it does not.
draft_settings() {
  check_settings "$@"
  draft=$(mktemp "$settings_file.XXXXXX" 2>/dev/null) ||
    fail "Nothing can be written to the directory of $settings_file."
  if [ -e "$settings_file" ]; then
    [ -w "$settings_file" ] || fail "$settings_file cannot be written."
    # With its owner and mode.
    cp -p "$settings_file" "$draft"
  fi
  for pair in "$@"; do
    put_line "${pair%%=*}" "$(quoted "$pair")"
  done
  changed=$(differing_lines)
  [ -z "$changed" ] || [ -n "$json" ] || printf '%s:\n%s\n' "$settings_file" "$changed"
}

# shellcheck disable=SC2317 # The trap calls it.
discard_drafts() {
  [ -z "$draft" ] || rm -f "$draft" "$draft.next"
  [ -z "$other_draft" ] || rm -f "$other_draft"
}
trap discard_drafts EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

commit_settings() {
  [ -z "$changed" ] || mv -f "$draft" "$settings_file"
}

# With the environment of the server, but for these.
check_settings() {
  for pair in "$@"; do
    case ${pair#*=} in
      *[\"\$\\\`]* | *[[:cntrl:]]*)
        misuse "${pair%%=*} has a character that not everybody reads alike in a file of settings."
        ;;
      *) ;;
    esac
  done
  if [ "$place" = compose ]; then
    pairs=$#
    for pair in "$@"; do
      set -- "$@" --env "$pair"
    done
    shift "$pairs"
    compose exec -T "$@" quota-proxy quota-proxy config
  else
    (
      for pair in "$@"; do
        export "${pair?}"
      done
      quota_proxy config
    )
  fi >/dev/null </dev/null || exit 2
}

# Compose, Bun, systemd and shells agree on what is in double quotes, as long as nothing in it is special.
quoted() {
  case ${1#*=} in
    *[!A-Za-z0-9_./:@%+,-]*) printf '%s="%s"' "${1%%=*}" "${1#*=}" ;;
    *) printf '%s' "$1" ;;
  esac
}

# The line takes the place of the first one that sets this name; others of that name would win over it, and go.
put_line() {
  NAME=$1 LINE=$2 awk '
    { text = $0; sub(/^[ \t]*(export[ \t]+)?/, "", text) }
    index(text, ENVIRON["NAME"] "=") == 1 { if (!done++) print ENVIRON["LINE"]; next }
    { print }
    END { if (!done) print ENVIRON["LINE"] }
  ' "$draft" >"$draft.next"
  cat "$draft.next" >"$draft"
}

# As `- old` and `+ new`. A last line without an end is no difference.
differing_lines() {
  if [ -e "$settings_file" ]; then
    awk 1 "$settings_file"
  fi | diff - "$draft" | sed -n 's/^</-/p; s/^>/+/p'
}

confirm() {
  [ -z "$yes" ] || return 0
  [ -t 0 ] || misuse "$1 Nobody can be asked here: add --yes if so."
  printf '%s [y/N] ' "$1" >&2
  read -r answer || answer=''
  case $answer in
    [yY] | [yY][eE][sS]) ;;
    *)
      printf 'Nothing was changed.\n' >&2
      exit 1
      ;;
  esac
}

# What has to be done until the server goes by its new settings: next_step live|restart
next_step() {
  if [ "$place" = compose ]; then
    printf 'docker compose up -d quota-proxy'
  elif [ -z "$is_config_file" ]; then
    printf 'start the server again, with these settings in its environment; "bun run start" reads .env'
  elif [ "$1" = restart ]; then
    printf 'start the server again'
  else
    printf 'nothing: a running server notices within seconds'
  fi
}
