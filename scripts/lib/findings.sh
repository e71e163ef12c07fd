# shellcheck shell=sh disable=SC2034
# How scripts tell what they have found: a line each, as `quota-proxy doctor` prints them, or the same as JSON.

json=${json-}
findings='' # as JSON, without the brackets
members=''  # of the JSON, beside the findings
is_well=true

# finding true|false <check> <what was found>
finding() {
  [ "$1" = true ] || is_well=false
  if [ -n "$json" ]; then
    findings="$findings${findings:+,}{\"check\":\"$2\",\"ok\":$1,\"detail\":\"$(json_text "$3")\"}"
  elif [ "$1" = true ]; then
    printf 'ok    %-12s  %s\n' "$2" "$3"
  else
    printf 'FAIL  %-12s  %s\n' "$2" "$3"
  fi
}

ok() {
  finding true "$@"
}

bad() {
  finding false "$@"
}

# Ends the script.
conclude() {
  [ -z "$json" ] ||
    printf '{"ok":%s,"findings":[%s]%s}\n' "$is_well" "$findings" "${members:+,$members}"
  [ "$is_well" = true ] || exit 1
  exit 0
}

json_text() {
  printf '%s' "$1" | tr '\t\n' '  ' | tr -d '\000-\037' | sed 's/[\\"]/\\&/g'
}
