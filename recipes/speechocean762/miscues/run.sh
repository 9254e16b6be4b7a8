#!/usr/bin/env bash
# Was every word of the text said? Models that learn from texts that were not said as they stand.
#
#   recipes/speechocean762/miscues/run.sh --corpus PATH --dir WORKDIR [--seeds 5]
#     [--epochs 40] [--negatives 0.3] [--texts 4] [--second-am sphinx] [--stage N]
#
# The acoustic model is that of score_balanced, whose first three stages are run. "told" learns
# from changed texts too, "plain" from the corpus alone: both are tested on words that nobody said.
# "told" is what comes with speechkit as its default model. "both" (there: accurate) is "told" with the
# features of a second acoustic model beside those of the first: better scores of words and
# utterances; scoring takes more than twice as long. "no_pitch" (there: no-gpl) is "told" without the
# columns of pitch.

seeds=5
epochs=40
negatives=0.3 # share of the texts of an epoch
texts=4       # changed texts of each utterance
acoustic_epochs=8
again_epochs=4
last_epochs=12
realign=2
folds=4
acoustic="--dropout 0 --freq-masks 1 --time-masks 0"
am=tdnn
second_am=sphinx
. "$(dirname "$0")/../../options.sh"

if at 1 "prepare, and train the acoustic model"; then
  "$(dirname "$0")/../score_balanced/run.sh" --corpus "$corpus" --dir "$dir" --stop-stage 3 \
    --acoustic-epochs "$acoustic_epochs" --again-epochs "$again_epochs" \
    --last-epochs "$last_epochs" --realign "$realign" --folds "$folds" --acoustic "$acoustic"
fi

if at 2 "texts that were not said as they stand"; then
  speechkit make-miscues -C "$dir" --set train --texts "$texts"
fi

if at 3 "features of every phone"; then
  for set in train train_miscues test; do
    speechkit extract-gop -C "$dir" --set $set --am "$am" --method both --prosody --verification \
      --name told
    speechkit extract-gop -C "$dir" --set $set --am "$am" --method both --prosody --no-pitch \
      --verification --name no_pitch
    speechkit extract-gop -C "$dir" --set $set --am "$second_am" --method both --verification \
      --name second
  done
fi

if at 4 "train"; then
  train() {
    speechkit train pronunciation -C "$dir" --set train --seeds "$seeds" --width 36 \
      --dropout 0.15 --epochs "$epochs" --halve-from 12 --halve-every 5 --feature-limit 3 --name "$@"
  }
  train plain --gop told
  train told --gop told --negatives "$negatives"
  train both --gop told,second --negatives "$negatives"
  train no_pitch --gop no_pitch --negatives "$negatives"
fi

if at 5 "evaluate: the scores, and words that nobody said"; then
  for name in plain told both no_pitch; do
    speechkit evaluate pronunciation -C "$dir" --name $name --set test
    speechkit evaluate pronunciation -C "$dir" --name $name --set test --miscues
  done
  speechkit compare pronunciation -C "$dir" --set test --baseline plain
fi

if at 6 "a model to give away, as the one that comes with speechkit"; then
  speechkit export pronunciation/told "$dir/pronunciation.zip" -C "$dir" --licence cc-by-4.0 --force
fi

if at 7 "report"; then
  speechkit report -C "$dir" --title "Was every word said?"
fi
