# Sourced by the hard_mining recipes, after options.sh: rows of the paper's tables as runs.
# Wang et al., "Mining hard samples locally and globally for improved speech separation".

# Names of the rows of a table: 1 weighted loss, 2 P_M, 3 P_S, 4 the full model; "all": the seven
# rows that the paper's text compares. Tables 2 and 3 begin with dm: no hard pairs, their P_S of 0.
rows_of() {
  case $1 in
    all) echo static dm dm_wtl dm_wvl dm_wtl_wvl \
      dm_wvl_pitch_pm02_ps30 dm_wvl_xvector_pm04_ps30 ;;
    1) echo static dm dm_wtl dm_wvl dm_wtl_wvl ;;
    2) echo dm; for param in pitch xvector; do echo dm_wvl_${param}_pm0{1..5}_ps30; done ;;
    3) echo dm dm_wvl_pitch_pm02_ps{20,30,40} dm_wvl_xvector_pm04_ps{20,30,40} ;;
    4) echo full_static full_dm full_dm_wtl \
      full_dm_wvl_pitch_pm02_ps30 full_dm_wvl_xvector_pm04_ps30 ;;
    *) echo "$0: --table $1 is not one of 1, 2, 3, 4, all" >&2; return 2 ;;
  esac
}

# Train one row with one seed: train_row NAME SEED TRAIN_SET VALID_SET [FLAGS...]
# Rows without dynamic mixing train on $static_set, by default on mixtures of TRAIN_SET.
train_row() {
  local name=$1 seed=$2 set=$3 valid=$4 flags=()
  shift 4
  case $name in full_*) flags+=(--model full) ;; *) flags+=($network) ;; esac
  case $name in *static) flags+=(--static); set=${static_set:-${set}_2mix} ;; esac
  case $name in *_wtl*) flags+=(--loss wsi-snr) ;; esac
  case $name in *_wvl*) flags+=(--weighted-validation) ;; esac
  if [[ $name =~ _(pitch|xvector)_pm0([0-9])_ps([0-9]+)$ ]]; then
    local param=${BASH_REMATCH[1]} pm=0.0${BASH_REMATCH[2]}
    speechkit mine-hard -C "$dir" --set "$set" --param "$param" --pm "$pm" >&2
    flags+=(--hard "exp/hard/${param}_pm$pm" --ps "0.${BASH_REMATCH[3]}")
  fi
  speechkit train separation -C "$dir" --name "$name" --seed "$seed" --set "$set" \
    --valid-set "$valid" --epochs "$epochs" "${flags[@]}" "$@"
}

# Train, evaluate and compare the rows of $table: run_table TRAIN_SET VALID_SET TEST_SET [FLAGS...]
# All rows run all epochs, as the paper's; the best epoch on VALID_SET is kept.
run_table() {
  local set=$1 valid=$2 test=$3 rows row seed base=dm
  shift 3
  rows=$(rows_of "$table")
  if [ "$table" = 4 ]; then base=full_dm; fi
  if at 6 "train ($rows)"; then
    for seed in $(seq 0 $((seeds - 1))); do
      for row in $rows; do
        train_row "$row" "$seed" "$set" "$valid" --patience 0 "$@"
      done
    done
  fi
  if at 7 "evaluate on $test"; then
    for row in $rows; do speechkit evaluate separation -C "$dir" --name "$row" --set "$test"; done
    speechkit compare separation -C "$dir" --set "$test" --baseline "$base"
  fi
  if at 8 "correlation (Fig. 2)"; then
    speechkit analyze-correlation -C "$dir" --set "$test" --model "$base"
  fi
}
