# shellcheck shell=sh disable=SC2034 # Whoever reads this file uses the rest.
# What the scripts share: their options, and how quota-proxy is run. It runs on this machine, or inside the container of
# compose; either way the scripts say `quota_proxy …`. Nothing here changes anything, and no secret is ever in an argument.

place=''      # host or compose; found out if not given
url=''        # a server, by its address
token_file='' # file with its admin token
cacert=''     # certificates to trust
env_file=''   # file of settings
json=''       # not empty: print JSON
new_file_ok='' # not empty: --env-file need not be there yet
taken=0       # how many arguments take_option has used

script=${0##*/}
here=${here:?}
root=$(dirname "$here")
program=${QUOTA_PROXY_BIN-}
# It is a name for these scripts; the program would take it for a setting that it does not know.
unset QUOTA_PROXY_BIN

# Without installed dependencies there is no source to run, and npx would ask the network for this.
BUN_VERSION=1.4.5

SHARED_OPTIONS="  --json              print JSON
  --host              quota-proxy runs on this machine, not in compose
  --compose           it is the service quota-proxy of docker compose
                      (without these two: compose, if that runs it)
  --env-file <file>   its settings, where the environment does not set them;
                      .env of this directory otherwise
  -h, --help          show this help"

SERVER_OPTIONS="  --url <url>         a server anywhere, by its address
  --token-file <file> file with its admin token; else ADMIN_TOKEN is sent
  --cacert <file>     certificates to trust instead of those of this system
$SHARED_OPTIONS"

EXIT_CODES="Exit codes: 0 all is well, 1 something is wrong, 2 wrong usage or settings."

misuse() {
  printf '%s: %s Try --help.\n' "$script" "$1" >&2
  exit 2
}

fail() {
  printf '%s: %s\n' "$script" "$1" >&2
  exit 1
}

# Uses one option of those above, and tells in `taken` how many arguments it was.
take_option() {
  taken=2
  case $1 in
    --url | --token-file | --cacert | --env-file)
      [ -n "${2-}" ] || misuse "$1 needs a value."
      ;;
    *) taken=1 ;;
  esac
  case $1 in
    --url) url=$2 ;;
    --token-file) token_file=$2 ;;
    --cacert) cacert=$2 ;;
    --env-file) env_file=$2 ;;
    --json) json=1 ;;
    --host | --compose) place=${1#--} ;;
    -h | --help)
      show_help
      exit 0
      ;;
    *) misuse "There is no option $1." ;;
  esac
}

# To be called once, when all options have been taken.
find_server() {
  # The file is the reader's own: it may be anywhere, but compose takes the one beside its own file.
  compose_dir=.
  [ -f compose.yaml ] || [ ! -f "$root/compose.yaml" ] || compose_dir=$root
  if [ -n "$env_file" ]; then
    [ -r "$env_file" ] || [ -n "$new_file_ok" ] || misuse "$env_file cannot be read."
    [ ! -r "$env_file" ] || read_settings "$env_file"
  elif [ -r .env ]; then
    read_settings .env
  fi

  if [ -n "$url" ]; then
    [ "$place" != compose ] || misuse '--url and --compose are two ways to name a server: choose one.'
    place=host
  elif [ -z "$place" ]; then
    place=host
    ! compose_runs || place=compose
  elif [ "$place" = compose ] && ! compose_runs; then
    fail 'docker compose runs no service quota-proxy here. Start it: docker compose up -d'
  fi
  [ "$place" = compose ] || find_program
}

compose_runs() {
  command -v docker >/dev/null 2>&1 &&
    [ -n "$(compose ps --quiet --status running quota-proxy 2>/dev/null)" ]
}

compose() (
  cd "$compose_dir" || exit
  docker compose "$@"
)

find_program() {
  if [ -n "$program" ]; then
    command -v "$program" >/dev/null 2>&1 || misuse "QUOTA_PROXY_BIN names no program: $program."
  elif command -v quota-proxy >/dev/null 2>&1; then
    program=quota-proxy
  elif [ -x "$root/dist/quota-proxy" ]; then
    program=$root/dist/quota-proxy
  elif [ -d "$root/node_modules" ] && command -v bun >/dev/null 2>&1; then
    program='bun'
  elif [ -d "$root/node_modules" ] && command -v npx >/dev/null 2>&1; then
    program='npx'
  else
    misuse 'There is no quota-proxy on the path or in dist; set QUOTA_PROXY_BIN.'
  fi
}

# Runs quota-proxy where the server has its data. What stands on standard input goes to it.
quota_proxy() {
  case $place$program in
    compose*) compose exec -T quota-proxy quota-proxy "$@" ;;
    hostbun) bun "$root/src/main.ts" "$@" ;;
    hostnpx) npx --prefer-offline -y "bun@$BUN_VERSION" "$root/src/main.ts" "$@" ;;
    *) "$program" "$@" ;;
  esac
}

# Runs a command of quota-proxy that may be about a server elsewhere.
administer() {
  quota_proxy "$@" ${url:+--url "$url"} ${token_file:+--token-file "$token_file"} \
    ${cacert:+--cacert "$cacert"}
}

# The value of a setting, as the server has it; nothing if it is not set.
setting() {
  quota_proxy config "$1" </dev/null
}

# Runs another program where the server has its data.
there() {
  if [ "$place" = compose ]; then
    compose exec -T quota-proxy "$@" </dev/null
  else
    "$@" </dev/null
  fi
}

# Takes from a file what the environment does not set: as Bun and compose do with .env.
read_settings() {
  while IFS= read -r line || [ -n "$line" ]; do
    line=${line#"${line%%[! ]*}"}
    line=${line#export }
    name=${line%%=*}
    case $name in
      "$line" | '' | [0-9]* | *[!A-Z0-9_]*) continue ;;
      *) ;;
    esac
    eval "known=\${$name-}"
    [ -z "${known:-}" ] || continue
    export "$name=$(unquoted "${line#*=}")"
  done <"$1"
}

unquoted() {
  case $1 in
    \"*\"*)
      value=${1#?}
      value=${value%%\"*}
      ;;
    \'*\'*)
      value=${1#?}
      value=${value%%\'*}
      ;;
    *)
      value=${1%%[ 	]#*}
      value=${value%"${value##*[![:space:]]}"}
      ;;
  esac
  printf '%s' "$value"
}
