#!/usr/bin/env bash
# Score-balanced losses: from recordings and texts to the paper's tables and figures, offline.
# Do et al., "Score-balanced Loss for Multi-aspect Pronunciation Assessment" (Interspeech 2023).
#
#   recipes/speechocean762/score_balanced/run.sh --corpus PATH --dir WORKDIR [--seeds 5]
#     [--epochs 100] [--acoustic-epochs 8] [--realign 2] [--gop tdnn_prosody] [--stage N]
#
# Acoustic models are the one inside pocketsphinx, and a TDNN that learns from its alignment of
# the training speakers, cross-fitted over speakers, and then from its own alignments. The losses are
# compared with the paper's settings; "best" is the recipe that training speakers chose.

seeds=5
epochs=100
acoustic_epochs=8                 # of the first networks; those of all folds take a quarter more
again_epochs=4                    # of those that start from others
last_epochs=12                    # of the last ones
realign=2                         # times before the networks of all folds
folds=4                           # of speakers
acoustic="--dropout 0 --freq-masks 1 --time-masks 0" # further flags of train acoustic
blocks="sphinx tdnn tdnn_prosody tdnn_both_prosody" # features that are extracted
gop=tdnn_prosody                  # features that the losses are compared on
arms="lstm_mse gopt_mse gopt_sb-num gopt_sb-rank gopt_sb-label"
betas="0.5 0.8 0.99 0.999"
features="sphinx tdnn sphinx,tdnn sphinx,tdnn_prosody" # features to compare beside them
best="--dropout 0.1 --epochs 40 --halve-from 12 --halve-every 5 --feature-limit 3"
best_gop=tdnn_both_prosody
. "$(dirname "$0")/../../options.sh"

if at 1 "prepare"; then
  speechkit prepare speechocean762 "$corpus" -C "$dir" --scores require
  speechkit validate -C "$dir"
fi

if at 2 "align with the model inside pocketsphinx"; then
  speechkit align -C "$dir" --set train --am sphinx --name sphinx
fi

# A network per fold of speakers, each time from the alignment of the one before.
if at 3 "train the TDNN, align with it, train it again"; then
  train_acoustic() { speechkit train acoustic -C "$dir" --set train --name "$@" $acoustic; }
  again=(--epochs "$again_epochs" --learning-rate 1e-3)
  many=(--folds "$folds" --full --unseen full)
  train_acoustic tdnn0 --align sphinx --folds 2 --no-full --epochs "$acoustic_epochs"
  last=tdnn0
  for round in $(seq "$realign"); do
    speechkit align -C "$dir" --set train --am $last --name $last
    train_acoustic "tdnn$round" --align $last --init $last --folds 2 --no-full "${again[@]}"
    last=tdnn$round
  done
  wide=tdnn$((realign + 1))
  speechkit align -C "$dir" --set train --am $last --name $last
  train_acoustic "$wide" --align $last "${many[@]}" --epochs "$((acoustic_epochs * 5 / 4))"
  speechkit align -C "$dir" --set train --am "$wide" --name "$wide"
  next=tdnn$((realign + 2))
  train_acoustic "$next" --align "$wide" --init "$wide" "${many[@]}" "${again[@]}"
  speechkit align -C "$dir" --set train --am "$next" --name "$next"
  train_acoustic tdnn --align "$next" --init "$next" "${many[@]}" --epochs "$last_epochs" \
    --learning-rate 1e-3
fi

if at 4 "features of every phone"; then
  for block in $blocks; do
    flags=(--am "${block%%_*}" --name "$block")
    case $block in *_both*) flags+=(--method both) ;; esac
    case $block in *_prosody) flags+=(--prosody) ;; esac
    for set in train test; do speechkit extract-gop -C "$dir" --set $set "${flags[@]}"; done
  done
fi

train() {
  speechkit train pronunciation -C "$dir" --set train --track test --seeds "$seeds" \
    --epochs "$epochs" --name "$@"
}

if at 5 "train: losses (Tables 1, 2), betas (Fig. 4), features"; then
  for arm in $arms; do train "$arm" --gop "$gop" --model "${arm%%_*}" --loss "${arm#*_}"; done
  for beta in $betas; do train "gopt_sb-num_$beta" --gop "$gop" --loss sb-num --beta "$beta"; done
  for each in $features; do train "gopt_mse_${each//,/+}" --gop "$each"; done
  train best --gop "$best_gop" $best
fi

if at 6 "evaluate and compare"; then
  names=$(cd "$dir/exp/pronunciation" && echo [!.]*)
  speechkit evaluate pronunciation -C "$dir" --name "${names// /,}" --set test --table 1
  speechkit evaluate pronunciation -C "$dir" --set train --table 3
  speechkit compare pronunciation -C "$dir" --set test --baseline gopt_mse
fi

if at 7 "a model to give away, as the one that comes with speechkit"; then
  speechkit export pronunciation/best "$dir/pronunciation.zip" -C "$dir" --licence cc-by-4.0 --force
fi

if at 8 "report"; then
  speechkit report -C "$dir" --title "Score-balanced losses for pronunciation"
fi
