#!/usr/bin/env bash
# Score-balanced losses: from recordings and texts to the paper's tables and figures, offline.
# Do et al., "Score-balanced Loss for Multi-aspect Pronunciation Assessment" (Interspeech 2023).
#
#   recipes/speechocean762/score_balanced/run.sh --corpus PATH --dir WORKDIR [--seeds 5]
#     [--epochs 100] [--acoustic-epochs 10] [--realign 2] [--gop tdnn_prosody] [--stage N]
#
# Acoustic models are the one inside pocketsphinx, and a TDNN that learns from its alignment of
# the training speakers, cross-fitted, and then from its own alignments (--realign times).

seeds=5
epochs=100
acoustic_epochs=10
realign=2
acoustic=                         # further flags of train acoustic
blocks="sphinx tdnn tdnn_prosody" # features that are extracted
gop=tdnn_prosody                  # features that the losses are compared on
arms="lstm_mse gopt_mse gopt_sb-num gopt_sb-rank gopt_sb-label"
betas="0.5 0.8 0.99 0.999"
features="sphinx tdnn sphinx,tdnn sphinx,tdnn_prosody" # features to compare beside them
. "$(dirname "$0")/../../options.sh"

if at 1 "prepare"; then
  speechkit prepare speechocean762 "$corpus" -C "$dir" --scores require
  speechkit validate -C "$dir"
fi

if at 2 "align with the model inside pocketsphinx"; then
  speechkit align -C "$dir" --set train --am sphinx
fi

if at 3 "train the TDNN, align with it, train it again"; then
  align=
  for round in $(seq "$realign") last; do
    name=tdnn$round
    if [ "$round" = last ]; then name=tdnn; fi
    speechkit train acoustic -C "$dir" --name $name --set train --align "$align" \
      --epochs "$acoustic_epochs" $acoustic
    if [ "$round" != last ]; then
      speechkit align -C "$dir" --set train --am $name --name $name
    fi
    align=$name
  done
fi

if at 4 "features of every phone"; then
  for block in $blocks; do
    flags=(--am "${block%_prosody}" --name "$block")
    if [ "$block" != "${block%_prosody}" ]; then flags+=(--prosody); fi
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
fi

if at 6 "evaluate and compare"; then
  names=$(cd "$dir/exp/pronunciation" && echo [!.]*)
  speechkit evaluate pronunciation -C "$dir" --name "${names// /,}" --set test --table 1
  speechkit evaluate pronunciation -C "$dir" --set train --table 3
  speechkit compare pronunciation -C "$dir" --set test --baseline gopt_mse
fi

if at 7 "report"; then
  speechkit report -C "$dir" --title "Score-balanced losses for pronunciation"
fi
