#!/usr/bin/env bash
# The paper's tables on WSJ0: si_tr_s is mixed dynamically, the fixed mixtures are WSJ0-2mix: tr for
# the rows without dynamic mixing, cv to select the epoch, tt to test.
#
#   recipes/wsj0_2mix/hard_mining/run.sh --corpus WSJ0 --wsj0-2mix PATH --dir WORKDIR
#     [--table 1|2|3|4|all] [--epochs 100] [--seeds 1]
#
# PATH is the folder wav8k/min, with tr, cv and tt. WSJ0 needs a licence of the LDC. The paper
# trained its x-vectors on WSJ0 and WSJ1 (206 speakers); here WSJ0 alone is used.

wsj0_2mix=
table=all
epochs=100
seeds=1
xvector_epochs=20
network="--model light"
. "$(dirname "$0")/../../options.sh"
static_set=wsj0_2mix_tr
. "$(dirname "$0")/../../hard_mining.sh"
rows_of "$table" > /dev/null

if at 1 "prepare"; then
  speechkit prepare wsj0 "$corpus" -C "$dir"
  speechkit prepare wsj0-2mix "$wsj0_2mix" -C "$dir"
  speechkit validate -C "$dir"
fi

if at 2 "pitch and energy"; then
  for set in train wsj0_2mix_tt; do speechkit extract-prosody -C "$dir" --set "$set"; done
fi

if at 3 "train the x-vector network"; then
  speechkit train xvector -C "$dir" --epochs "$xvector_epochs"
fi

if at 4 "x-vectors"; then
  for set in train wsj0_2mix_tt; do
    speechkit extract-xvector -C "$dir" --set "$set" --model default
  done
fi

run_table train wsj0_2mix_cv wsj0_2mix_tt

if at 9 "report"; then
  speechkit report -C "$dir" --title "Hard pairs: WSJ0-2mix, table $table"
fi
