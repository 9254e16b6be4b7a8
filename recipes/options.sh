# Sourced by every run.sh: --dir, --corpus, --stage, --stop-stage, and `stage N` as a guard.
# A recipe may set further defaults before it sources this file: epochs=20 gives --epochs.

set -euo pipefail
dir=${dir:-.}
corpus=${corpus:-}
stage=${stage:-1}
stop_stage=${stop_stage:-100}

while [ $# -gt 0 ]; do
  name=${1#--}
  name=${name//-/_}
  if [ "$1" = "${1#--}" ] || [ -z "${!name+set}" ]; then
    echo "$0: unknown option '$1'" >&2
    exit 2
  fi
  if [ $# -lt 2 ]; then
    echo "$0: $1 needs a value" >&2
    exit 2
  fi
  printf -v "$name" '%s' "$2"
  shift 2
done

# True if stage N is to run; says so.
at() {
  [ "$stage" -le "$1" ] && [ "$1" -le "$stop_stage" ] && echo "== stage $1: $2" >&2
}
