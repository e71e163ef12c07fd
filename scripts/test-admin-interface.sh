#!/bin/sh
# Tries the admin API out: is everybody without the token refused, and can the token issue a key, find it, see its use
# and delete it? The key is thrown away whatever happens, and expires by itself should even that fail. No secret is shown.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=lib/server.sh
. "$here/lib/server.sh"
# shellcheck source=lib/findings.sh
. "$here/lib/findings.sh"

show_help() {
  cat <<END
Usage: $script [options]

Try the admin API of a running server: requests without the token, or with
another one, get 401; with the token, a key is created, listed, looked at with
its use, deleted, and is then gone. Other keys are not touched. Needs curl.
The server is the one of HOST and PORT (or ADMIN_LISTEN), or that of --url.

Options:
$SERVER_OPTIONS

$EXIT_CODES

Examples:
  $script
  $script --url https://proxy.example --token-file token.txt --json
END
}

while [ "$#" -gt 0 ]; do
  take_option "$@"
  shift "$taken"
done
find_server
command -v curl >/dev/null || misuse 'This needs curl.'

# Where the server that these settings describe can be reached from this machine.
own_url() {
  port=$(setting PORT)
  host=$(setting HOST)
  admin=$(setting ADMIN_LISTEN)
  if [ -n "$admin" ]; then
    port=${admin##*:}
    host=${admin%:*}
  fi
  # Everything that compose publishes, it publishes here.
  [ "$place" = host ] || host=127.0.0.1
  case $host in
    0.0.0.0) host=127.0.0.1 ;;
    ::) host='[::1]' ;;
    \[*) ;;
    *:*) host="[$host]" ;;
    *) ;;
  esac
  scheme=http
  [ -z "$(setting TLS_CERT_FILE)" ] || scheme=https
  printf '%s://%s:%s' "$scheme" "$host" "$port"
}

# The status of a request, without a token or with what is given for one. 000 is no answer.
status_of() {
  curl --silent --output /dev/null --write-out '%{http_code}' --max-time 10 --noproxy '*' \
    ${1:+--header "Authorization: Bearer $1"} ${cacert:+--cacert "$cacert"} "$url/admin/keys" || true
}

key() {
  printf '%s\n' "$secret" | administer keys "$@"
}

# What a failed command has said, on one line.
said() {
  tr '\n' ' ' <"$scratch/said"
}

# shellcheck disable=SC2317 # The trap calls it.
throw_away() {
  [ -z "$secret" ] || key delete - --yes >/dev/null 2>&1 || true
  rm -rf "$scratch"
}

if [ -z "$url" ]; then
  url=$(own_url)
  [ -n "$(setting ADMIN_TOKEN)" ] || token_file=$(setting DATA_DIR)/admin-token
fi

scratch=$(mktemp -d)
secret=''
trap throw_away EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

status=$(status_of '')
case $status in
  401) ok no-token 'a request without a token gets 401' ;;
  000)
    bad server "$url does not answer; is the server running, and is this its address? (--url)"
    conclude
    ;;
  *) bad no-token "a request without a token gets $status, not 401" ;;
esac
status=$(status_of 'not-the-admin-token')
case $status in
  # Somebody else at this address has been trying tokens.
  401 | 429) ok wrong-token "a request with another token gets $status" ;;
  *) bad wrong-token "a request with another token gets $status, not 401" ;;
esac

random=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
name=test-admin-interface-$random
# Chosen here and not by the server, so that the key can be deleted whatever becomes of the answer.
secret=trial_$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

if ! key create "$name" --quota 1 --expires 10m --disabled --key-file - >/dev/null 2>"$scratch/said"; then
  secret=''
  bad create "the token cannot create a key: $(said)"
  conclude
fi
ok create 'a key was created; it is disabled, and expires in ten minutes'

if administer keys list --q "$name" </dev/null 2>&1 | grep -q -- "$random"; then
  ok list 'it is in the list'
else
  bad list 'it is not in the list'
fi
if key show - >"$scratch/shown" 2>"$scratch/said"; then
  ok show 'it can be looked at'
else
  bad show "it cannot be looked at: $(said)"
fi
if grep -q -F "$secret" "$scratch/shown"; then
  bad secret 'its secret was shown again'
else
  ok secret 'its secret is not shown again'
fi
if key_usage=$(printf '%s\n' "$secret" | administer usage --key - --csv 2>"$scratch/said") &&
  [ -n "$key_usage" ]; then
  ok usage 'its use can be seen'
else
  bad usage "its use cannot be seen: $(said)"
fi
if key delete - --yes >/dev/null 2>"$scratch/said"; then
  if key show - >/dev/null 2>&1; then
    bad delete 'it was deleted, and is still there'
  else
    secret=''
    ok delete 'it was deleted, and is gone'
  fi
else
  bad delete "it cannot be deleted: $(said)"
fi
conclude
