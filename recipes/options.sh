# Sourced by every run.sh: --dir, --corpus, --stage, --stop-stage, and `at N TITLE` as a guard.
# The other options of a recipe are the defaults that it sets before it sources this file:
# epochs=20 gives --epochs. Where a default is a whole number, only whole numbers are accepted
# (bash would run code that it finds in the text of a number).

set -euo pipefail
dir=${dir:-.}
corpus=${corpus:-}
stage=${stage:-1}
stop_stage=${stop_stage:-100}

options=(dir corpus stage stop_stage)
numbers=()
while read -r line && [[ $line != *options.sh* ]]; do
  if [[ $line =~ ^([a-z][a-z0-9_]*)= && ${BASH_REMATCH[1]} != dir ]]; then
    options+=("${BASH_REMATCH[1]}")
  fi
done < "${BASH_SOURCE[1]}"
for name in "${options[@]}"; do
  if [[ ${!name} =~ ^[0-9]+$ || $name = *stage ]]; then numbers+=("$name"); fi
done

fail() {
  echo "$0: $1" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  found=
  for name in "${options[@]}"; do
    if [ "$1" = "--$name" ] || [ "$1" = "--${name//_/-}" ]; then found=$name; fi
  done
  if [ -z "$found" ]; then
    accepted=" ${options[*]}"
    accepted=${accepted//_/-}
    fail "unknown option '$1'. Accepted:${accepted// / --}"
  fi
  if [ $# -lt 2 ]; then fail "$1 needs a value"; fi
  printf -v "$found" '%s' "$2"
  shift 2
done

for name in "${numbers[@]}"; do
  if ! [[ ${!name} =~ ^(0|[1-9][0-9]{0,8})$ ]]; then
    fail "--${name//_/-} '${!name}' is not a whole number"
  fi
done

# True if stage N is to run; says so.
at() {
  [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ] && echo "== stage $1: $2" >&2
}
