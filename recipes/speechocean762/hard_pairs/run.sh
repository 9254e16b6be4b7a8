#!/usr/bin/env bash
# Who is hard for whom in speechocean762: pitch, x-vectors and hard pairs of its train set.
#
#   recipes/speechocean762/hard_pairs/run.sh --corpus PATH --dir WORKDIR [--epochs 20] [--stage N]
#
# Needs no download and no GPU; most of the time goes into training the x-vector network.

epochs=20
precision=auto
seed=0
. "$(dirname "$0")/../../options.sh"

if at 1 "prepare"; then
  speechkit prepare speechocean762 "$corpus" -C "$dir"
  speechkit validate -C "$dir"
fi

if at 2 "pitch and energy"; then
  for set in train test; do speechkit extract-prosody -C "$dir" --set "$set"; done
fi

if at 3 "train the x-vector network"; then
  speechkit train xvector -C "$dir" --epochs "$epochs" --seed "$seed" --precision "$precision"
fi

if at 4 "x-vectors"; then
  for set in train test; do speechkit extract-xvector -C "$dir" --set "$set" --model default; done
fi

if at 5 "mine hard pairs"; then
  speechkit mine-hard -C "$dir" --param pitch --pm 0.02
  speechkit mine-hard -C "$dir" --param energy --pm 0.02
  speechkit mine-hard -C "$dir" --param xvector --pm 0.04
fi

if at 6 "report"; then
  speechkit report -C "$dir" --title "Hard pairs in speechocean762"
fi
