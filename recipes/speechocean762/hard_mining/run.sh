#!/usr/bin/env bash
# Does training on hard pairs help where voices are alike? Separation of learners of English.
#
#   recipes/speechocean762/hard_mining/run.sh --corpus PATH --dir WORKDIR [--seeds 3]
#     [--base-epochs 16] [--epochs 3]
#
# Made for two CPU cores: a small network is trained once for every seed, and every arm goes on
# from there with equally many steps, so that arms are paired.

seeds=3
base_epochs=16
epochs=3
xvector_epochs=20
precision=auto
network="--model tiny --kernel 32"
arms="dm dm_wvl dm_wtl dm_wtl_wvl dm_wvl_pitch_pm02_ps30 dm_wvl_xvector_pm04_ps30"
. "$(dirname "$0")/../../options.sh"
. "$(dirname "$0")/../../hard_mining.sh"
step=(--epoch-size 1600 --patience 0 --precision "$precision")

if at 1 "prepare"; then
  speechkit prepare speechocean762 "$corpus" -C "$dir" --dev-share 0
  speechkit split -C "$dir" --set train --speakers 15 --into fit,dev
fi

if at 2 "pitch and energy"; then
  for set in fit test; do speechkit extract-prosody -C "$dir" --set "$set"; done
fi

if at 3 "train the x-vector network"; then
  speechkit train xvector -C "$dir" --set fit --epochs "$xvector_epochs" --precision "$precision"
fi

if at 4 "x-vectors"; then
  for set in fit test; do speechkit extract-xvector -C "$dir" --set "$set" --model default; done
fi

if at 5 "mixtures"; then
  speechkit mix -C "$dir" --set dev --count 300
  speechkit mix -C "$dir" --set test --count 600
fi

if at 6 "train"; then
  for seed in $(seq 0 $((seeds - 1))); do
    speechkit train separation -C "$dir" --name base --seed "$seed" --set fit \
      --valid-set dev_2mix --epochs "$base_epochs" $network "${step[@]}"
    for arm in $arms; do
      network= train_row "$arm" "$seed" fit dev_2mix --init base --learning-rate 5e-4 "${step[@]}"
    done
  done
fi

if at 7 "evaluate"; then
  for name in base $arms; do
    speechkit evaluate separation -C "$dir" --name "$name" --set test_2mix
  done
  speechkit compare separation -C "$dir" --set test_2mix --baseline dm
fi

if at 8 "correlation"; then
  speechkit analyze-correlation -C "$dir" --set test_2mix --model dm
fi

if at 9 "report"; then
  speechkit report -C "$dir" --title "Separation of learners of English: hard pairs"
fi
