#!/usr/bin/env bash
# The paper's tables on LibriSpeech: train-clean-100 is mixed dynamically, dev-clean and
# test-clean make the fixed mixtures.
#
#   recipes/librispeech/hard_mining/run.sh --corpus PATH --dir WORKDIR [--table 1|2|3|4|all]
#     [--epochs 100] [--seeds 1] [--train-set train-clean-100] [--librimix METADATA_DIR]
#
# --librimix takes the folder with LibriMix's CSV files and tests on Libri2Mix (clean) instead of
# mixtures of our own. PATH is the folder that holds train-clean-100 and the rest.

table=all
epochs=100
seeds=1
train_set=train-clean-100
librimix=
xvector_epochs=20
mixtures=3000
static_mixtures=20000
network="--model light"
. "$(dirname "$0")/../../options.sh"
. "$(dirname "$0")/../../hard_mining.sh"
rows_of "$table" > /dev/null
valid=dev_2mix
test=test_2mix
if [ -n "$librimix" ]; then valid=libri2mix_dev-clean; test=libri2mix_test-clean; fi

if at 1 "prepare"; then
  speechkit prepare librispeech "$corpus" -C "$dir" --to "train=$train_set" \
    --to dev=dev-clean --to test=test-clean
  speechkit validate -C "$dir"
fi

if at 2 "pitch and energy"; then
  for set in train dev test; do speechkit extract-prosody -C "$dir" --set "$set"; done
fi

if at 3 "train the x-vector network"; then
  speechkit train xvector -C "$dir" --epochs "$xvector_epochs"
fi

if at 4 "x-vectors"; then
  for set in train dev test; do
    speechkit extract-xvector -C "$dir" --set "$set" --model default
  done
fi

if at 5 "mixtures"; then
  case " $(rows_of "$table") " in
    *static*) speechkit mix -C "$dir" --set train --count "$static_mixtures" ;;
  esac
  if [ -n "$librimix" ]; then
    speechkit prepare librimix "$librimix"/*2mix_dev-clean.csv "$librimix"/*2mix_test-clean.csv \
      --librispeech "$corpus" -C "$dir"
  else
    speechkit mix -C "$dir" --set dev --count "$mixtures"
    speechkit mix -C "$dir" --set test --count "$mixtures"
  fi
fi

run_table train "$valid" "$test"

if at 9 "report"; then
  speechkit report -C "$dir" --title "Hard pairs: LibriSpeech, table $table"
fi
