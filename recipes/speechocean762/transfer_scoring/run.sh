#!/usr/bin/env bash
# Transfer scoring: an acoustic model, its deep features, and a scorer of 20,289 parameters.
# Lin and Wang, "Deep Feature Transfer Learning for Automatic Pronunciation Assessment" (2021).
#
#   recipes/speechocean762/transfer_scoring/run.sh --corpus PATH --dir WORKDIR [--seeds 5]
#     [--am tdnn] [--joint-am tdnn_small] [--acoustic-epochs 24] [--stage N] [--stop-stage N]
#
# Half of the training speakers train the acoustic model (am_100), the others the scorer (sc): deep
# features must be of speakers that the acoustic model has not heard.

seeds=5
am=tdnn                   # whose deep features are compared: tdnn (the paper's size), tdnn_small
joint_am=tdnn_small       # of Table 5, whose unfrozen rows train it further
acoustic_epochs=24        # of tdnn; the small ones take half
realign=2                 # times that the first network aligns its own training set
joint_epochs=3            # of a stage that trains the acoustic model too
acoustic=                 # further flags of train acoustic
scorer=                   # further flags of train scoring
labelled="25 50 100 200"  # utterances, for the curve; its last point is all of sc_scored
targets="accuracy fluency prosodic"
few=100                   # scored utterances of another target that a scorer adapts to
. "$(dirname "$0")/../../options.sh"

if at 1 "prepare"; then
  speechkit prepare speechocean762 "$corpus" -C "$dir" --scores require
  speechkit validate -C "$dir"
fi

# half NAME of SET: SET into REST and HELD (speakers in equal parts)
half() { speechkit split -C "$dir" --share 0.5 --set "$1" --into "$2"; }
if at 2 "speakers of the acoustic model and of the scorer"; then
  half train am_100,sc
  half am_100 am_50,am_rest50
  half am_50 am_25,am_rest25
  half sc sc_scored,sc_unscored
fi

align() { speechkit align -C "$dir" --set "$1" --am "$2" --name "$2"; }
train_acoustic() { speechkit train acoustic -C "$dir" --name "$@" $acoustic; }
if at 3 "acoustic models"; then
  final=(--folds 0 --unseen full --held-out sc,test --held-out-align first_100)
  for part in 100 50 25; do # percent of the speakers of the acoustic model
    align am_$part sphinx
    train_acoustic first_$part --set am_$part --align sphinx --folds 2 --no-full \
      --epochs "$((acoustic_epochs / 4))" --realign "$realign"
    align am_$part first_$part
    if [ $part = 100 ]; then
      for set in sc test; do align $set first_100; done
      train_acoustic tdnn --model tdnn --set am_100 --align first_100 "${final[@]}" --epochs "$acoustic_epochs"
      name=tdnn_small
    else
      name=tdnn_small_$part
    fi
    train_acoustic $name --set am_$part --align first_$part "${final[@]}" --epochs "$((acoustic_epochs / 2))"
  done
fi

deep() { speechkit extract-deep -C "$dir" --set "$1" --am "$2" --name "$2"; }
if at 4 "deep features and GOP of every phone"; then
  for set in am_100 sc test sc_scored sc_unscored; do
    for model in $am $joint_am; do deep $set "$model"; done
    speechkit extract-gop -C "$dir" --set $set --am "$am" --stp --name "$am"
  done
  for set in sc test; do for part in 50 25; do deep $set tdnn_small_$part; done; done
  for set in am_100 sc sc_unscored; do # cross-fitted: comparable in what it has heard and not
    speechkit extract-gop -C "$dir" --set $set --am first_100 --name first_100
  done
fi

if at 5 "synthetic scores"; then
  speechkit synthesize-scores -C "$dir" --train sc --set am_100 --gop first_100
  speechkit synthesize-scores -C "$dir" --train am_100 --set sc_unscored --gop first_100
fi

score() { speechkit train scoring -C "$dir" --seeds "$seeds" --set sc --name "$@" $scorer; }
if at 6 "scorers: models and inputs (Tables 2, 3, 6), stages (Table 5)"; then
  pre=(--pretrain frozen --pretrain-set am_100)
  score deep --features "$am" "${pre[@]}"
  score deep_mean --features "$am" "${pre[@]}" --model mean
  score trees --features "$am" --model trees
  for input in gop stp-gop gop-vector; do
    score $input --features "$am" --input $input
    score ${input}_pretrained --features "$am" --input $input "${pre[@]}"
  done
  score blstm --features "$am" --model blstm
  score blstm_pretrained --features "$am" --model blstm "${pre[@]}"
  for row in frozen_frozen unfrozen_unfrozen unfrozen_frozen unfrozen_none none_frozen; do
    first=(--pretrain "${row%_*}" --pretrain-set am_100)
    if [ "${row%_*}" = none ]; then first=(); fi
    score stages_$row --features "$joint_am" "${first[@]}" --finetune "${row#*_}" \
      --joint-epochs "$joint_epochs"
  done
fi

if at 7 "scorers: how much is scored, how much was heard, other targets"; then
  curve() { score "$@" --set sc_scored --features "$am"; }
  pre=(--pretrain-set sc_unscored --pretrain frozen)
  for count in $labelled 0; do # 0: all
    curve scored_$count --labelled "$count"
    curve pretrained_$count --labelled "$count" "${pre[@]}"
  done
  score heard_100 --features "$am"
  for part in 50 25; do score heard_$part --features tdnn_small_$part; done
  curve start "${pre[@]}" --finetune none
  for target in $targets; do
    curve new_$target --target "$target" --labelled "$few"
    curve adapted_$target --target "$target" --labelled "$few" --init start
  done
fi

if at 8 "evaluate, compare, report"; then
  names=$(cd "$dir/exp/scoring" && echo [!.]*)
  for set in sc test; do speechkit evaluate scoring -C "$dir" --name "${names// /,}" --set $set; done
  speechkit compare scoring -C "$dir" --set test --baseline deep
  speechkit report -C "$dir" --title "Transfer scoring of pronunciation"
fi
