#!/usr/bin/env bash
# What one GPU is worth to speechkit, in two steps: the first needs no GPU, the second no network.
#
#   benchmarks/gpu.sh --prepare FOLDER [--from WORKDIR --train SET --test SET [--start NAME]]
#   benchmarks/gpu.sh FOLDER [--device cuda] [--minutes 8] [--peer-python PYTHON]
#
# --prepare makes FOLDER (at most 40 MB): speech at 8 kHz, mined pairs, mixtures, features and a
# common start, of generated speech or of two sets of WORKDIR (--start: its separation experiment).
# The second step trains every task for some steps on both devices and compares the losses, resumes
# a killed training, and prints the ratios to Asteroid, SpeechBrain and Hugging Face's Trainer in
# float32, bf16 and compiled. What is not installed, fails or has no time left is named as not done.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}"
speechkit() { python -m speechkit "$@"; }
fail() { echo "$0: $1" >&2; exit 2; }

prepare=no from= train=train test=test start= device=cuda minutes=8 peer_python= folder=
while [ $# -gt 0 ]; do
  case $1 in
    --prepare) prepare=yes; shift; continue ;;
    --from | --train | --test | --start | --device | --minutes | --peer-python) ;;
    -*) fail "unknown option '$1'" ;;
    *) [ -z "$folder" ] || fail "two folders: '$folder' and '$1'"; folder=$1; shift; continue ;;
  esac
  [ $# -ge 2 ] || fail "$1 needs a value"
  name=${1#--}
  printf -v "${name//-/_}" '%s' "$2"
  shift 2
done
[ -n "$folder" ] || fail "name the folder, as: $0 --prepare FOLDER"
[[ $minutes =~ ^[1-9][0-9]?$ ]] || fail "--minutes '$minutes' is not a number from 1 to 99"

if [ $prepare = yes ]; then
  [ ! -e "$folder" ] || fail "$folder is there already"
  if [ -z "$from" ]; then
    [ -z "$start" ] || fail "--start needs --from"
    from=$(mktemp -d)
    trap 'rm -rf "$from"' EXIT
    speechkit prepare demo -C "$from" --utterances 240
  fi
  half="$folder.partial"
  rm -rf "$half"
  mkdir -p "$half"
  python "$here/gpu_pack.py" "$half" --from "$from" --set "train=$train" --set "test=$test"
  if [ -n "$start" ]; then
    speechkit export "separation/$start" "$half/start.zip" -C "$from"
  fi
  cd "$half"
  speechkit extract-prosody --set train
  speechkit train xvector --name small --epochs 2 --channels 128,128,128,128,256 --embedding 128
  speechkit extract-xvector --set train --model small
  speechkit mine-hard --param pitch
  speechkit mine-hard --param xvector
  speechkit mix --set test --count 60
  for set in train test; do
    speechkit extract-gop --set $set --am sphinx
  done
  speechkit align --set train --am sphinx --name sphinx
  speechkit split-folds --set train --fold-size 6
  if [ -n "$start" ]; then speechkit import start.zip --name start; else
    speechkit train separation --name start --model tiny --kernel 32 --valid-set test_2mix \
      --epochs 1 --epoch-size 80 --segment 2
  fi
  cd - > /dev/null
  size=$(du -sm "$half" | cut -f1)
  [ "$size" -le 40 ] || fail "$half takes $size MB, more than 40: take smaller sets"
  mv "$half" "$folder"
  echo "$folder: $size MB. Next, where the GPU is: $0 $folder"
  exit
fi

[ -d "$folder/exp" ] || fail "$folder was not made by $0 --prepare"
python - "$device" << 'PY' || fail "PyTorch sees no device '$device' here"
import sys, torch
where = torch.device(sys.argv[1])
if where.type == "cuda" and not torch.cuda.is_available():
    sys.exit(1)
name = torch.cuda.get_device_name() if where.type == "cuda" else "CPU"
print(f"PyTorch {torch.__version__}, {name}\n")
PY
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$folder/." "$work"
log="$work/log"
deadline=$((SECONDS + 60 * minutes))

# do_step SECONDS WHAT COMMAND...: within its time and what is left of all; says what is not done.
do_step() {
  local limit=$1 what=$2 left=$((deadline - SECONDS)) status=0
  shift 2
  if [ $left -lt 5 ]; then echo "- not done: $what (no time is left)"; return 1; fi
  if [ "$limit" -gt $left ]; then limit=$left; fi
  timeout -k 5 "$limit" "$@" > "$log" 2>&1 || status=$?
  if [ $status = 0 ]; then return 0; fi
  if [ $status = 124 ] || [ $status = 137 ]; then
    echo "- not done: $what (more than $limit s)"
  else
    echo "- not done: $what (exit code $status): $(grep . "$log" | tail -1)"
  fi
  return 1
}

train() { # train DEVICE TASK NAME FLAGS...
  local on=$1 task=$2 name=$3
  shift 3
  python -m speechkit train "$task" -C "$work" --name "$name" --device "$on" "$@"
}
export -f train
export work SPEECHKIT_BENCH_DEVICE="$device"

echo "## Losses of a short training on both devices"
echo
mixing="--valid-set test_2mix --segment 2"
tiny="--model tiny --kernel 32"
tasks=(
  "separation $mixing $tiny --epochs 1 --epoch-size 80 --precision 32"
  "xvector --epochs 1 --channels 128,128,128,128,256 --embedding 128 --precision 32"
  "acoustic --align sphinx --epochs 1 --folds 0 --precision 32"
  "pronunciation --epochs 2 --aspects utterance_total"
  "scoring --epochs 2 --input gop"
  "emotion --set train --upstream fbank-cnn --epochs 1 --folds 0 --precision 32"
)
for line in "${tasks[@]}"; do
  read -r task flags <<< "$line"
  do_step 90 "$task on the CPU" bash -c "train cpu $task on_cpu $flags" || continue
  do_step 90 "$task on $device" bash -c "train $device $task on_device $flags" || continue
  python "$here/gpu_compare.py" "$work" "$task" on_cpu on_device || true
done

echo
echo "## A training that is killed and taken up"
echo
again="$mixing $tiny --epochs 2 --epoch-size 40 --precision 32"
if do_step 90 "a whole training" bash -c "train $device separation whole $again"; then
  bash -c "train $device separation killed $again --checkpoint-minutes 0.01" > "$log" 2>&1 &
  victim=$!
  for _ in $(seq 300); do
    if compgen -G "$work/exp/separation/killed/.seed0.partial/.scratch/*" > /dev/null; then break; fi
    sleep 0.2
  done
  pkill -KILL -P $victim || true
  wait $victim 2> /dev/null || true
  if do_step 90 "the rest of it" bash -c "train $device separation killed $again"; then
    python "$here/gpu_compare.py" "$work" separation whole killed || true
  fi
fi

echo
echo "## Ratios"
echo
peers=(--device "$device" --rounds 2 --quick)
if [ -n "$peer_python" ]; then peers+=(--peer-python "$peer_python"); fi
if [ -z "$peer_python" ]; then echo "- not done: Asteroid and SpeechBrain (give --peer-python)"; fi
show() { do_step "$@" && grep '^[|# ]' "$log" || true; echo; }
show 150 "steps of separation" python "$here/bench_separation.py" "${peers[@]}" --only step,pit
show 60 "fine-tuning beside the Trainer" python "$here/bench_emotion.py" --only finetune --quick
show 40 "x-vectors beside SpeechBrain" python "$here/bench_xvector.py" -C "$folder" --set test \
  --rounds 1
show 60 "mining" python "$here/bench_mining.py" --vectors 12776 --large 0 --pitch 0

if [ "$device" = cuda ] && [ $((deadline - SECONDS)) -ge 240 ]; then
  echo "## Demonstration: from the carried start, equally many steps"
  echo
  for arm in "dm" "hard_pitch --hard exp/hard/pitch_pm0.02" \
    "hard_xvector --hard exp/hard/xvector_pm0.04"; do
    read -r name flags <<< "$arm"
    do_step 90 "$name" bash -c "train cuda separation $name $mixing --init start --epochs 10 $flags" ||
      continue
    speechkit evaluate separation -C "$work" --name "$name" --set test_2mix 2> "$log"
  done
fi
echo "$SECONDS s in all"
