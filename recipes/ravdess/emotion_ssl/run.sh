#!/usr/bin/env bash
# Emotions of RAVDESS: fine-tuned self-supervised encoders, or baselines that need no download.
#
#   recipes/ravdess/emotion_ssl/run.sh --corpus PATH --dir WORKDIR [--upstream paper] [--seeds 5]
#     [--splits "speaker-folds random-80-20"] [--preset paper] [--device cuda]
#
# --upstream: egemaps, compare16, fbank-cnn, names or folders of encoders (several in quotes);
# "offline" is the first three, "paper" the paper's four encoders with its hyperparameters.
# Speakers are parted by default; random-80-20 leaks them, here for all five fifths (--random-folds
# 1: for one). --splits paper is the paper's own protocol: one such fifth, which chooses the step too.

upstream=offline
splits="speaker-folds random-80-20"
fold_size=4
random_folds=5
seeds=5
epochs=
preset=
device=auto
. "$(dirname "$0")/../../options.sh"
flags=(--device "$device" ${epochs:+--epochs "$epochs"})
if [ "$upstream" = offline ]; then upstream="egemaps compare16 fbank-cnn"; fi
if [ "$upstream" = paper ]; then
  preset=${preset:-paper}
  upstream="facebook/wav2vec2-base-960h facebook/wav2vec2-xls-r-300m"
  upstream+=" patrickvonplaten/wav2vec2-xls-r-1b-common_voice-tr-ft facebook/hubert-large-ls960-ft"
fi

# Folder of exp/emotion: name_of UPSTREAM SPLIT
name_of() {
  local name=${1%/}
  echo "${name##*/}_$2"
}

if at 1 "prepare"; then
  speechkit prepare ravdess "$corpus" -C "$dir"
  speechkit validate -C "$dir"
fi

if at 2 "splits, and what they leak"; then
  for split in $splits; do
    folds=1
    if [ "$split" = random-80-20 ]; then folds=$random_folds; fi
    speechkit split-folds -C "$dir" --split "$split" --fold-size "$fold_size" --folds "$folds"
  done
fi

if at 3 "train"; then
  for model in $upstream; do
    preset_flag=(${preset:+--preset "$preset"})
    case $model in egemaps | compare16 | fbank-cnn) preset_flag=() ;; esac
    for split in $splits; do
      speechkit train emotion -C "$dir" --upstream "$model" --name "$(name_of "$model" "$split")" \
        --split "$split" --seeds "$seeds" "${preset_flag[@]}" "${flags[@]}"
    done
  done
fi

if at 4 "evaluate"; then
  for model in $upstream; do
    for split in $splits; do
      speechkit evaluate emotion -C "$dir" --name "$(name_of "$model" "$split")" --device "$device"
    done
  done
fi

if at 5 "report"; then
  speechkit report -C "$dir" --title "Emotions of RAVDESS"
fi
