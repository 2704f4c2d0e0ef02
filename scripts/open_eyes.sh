#!/usr/bin/env bash
# Train a model that reads many kinds of pictures: bash scripts/open_eyes.sh DATA [DIR] [PLAN]
#
# DATA is what scripts/open_eyes.py made with --plan PLAN, which is sight unless given; DIR is
# runs/eyes. The adapters take MINUTES of one core: sight and talk (240 and 82) start from FROM, the
# digits' adapter that scripts/sight.sh makes, signs (85) from the run of talk. The nano starts from
# nothing and takes 72; names starts from it, FROM, and takes 98 in two stages: with the things of
# DATA/others at a constant rate, then without; further starts from the run of names, and takes 75;
# more starts from the run of further, and takes 82; scenes starts from nothing, and takes 42. A run that was stopped resumes from its last
# checkpoint.
set -euo pipefail
data=${1:?"name the data: bash scripts/open_eyes.sh DATA, made by scripts/open_eyes.py"}
dir=${2:-runs/eyes} plan=${3:-sight}
glyphsight=${GLYPHSIGHT:-glyphsight}
kinds="digits letters art-picture icons sketches clothes vitc-s-picture"
case $plan in
  sight) kinds="$kinds words scenes vitc-l-picture" ;;
  talk | signs) kinds=letters ;;
  scenes) kinds=scenes ;;
  further | more) kinds="$kinds strange" ;;
esac

grown() { # grown FROM DIR OPTIONS...: a larger start, with the names of the data
  [ -f "$2/glyphsight.json" ] || python "$(dirname "$0")/grow.py" "$@"
}
if [ ! -f "$dir/glyphsight.json" ]; then
  resume=() seed=1
  [ ! -f "$dir/settings.json" ] || resume=(--resume)
  if [ "$plan" = nano ] || [ "$plan" = scenes ]; then
    minutes=72 labels=400
    [ "$plan" = nano ] || minutes=42 labels=200
    own=(--model nano --set minutes="${MINUTES:-$minutes}" --set warmup=0.02 --set evaluations=6
      --set most_labels=$labels)
  elif [[ $plan =~ ^(names|further|more)$ ]]; then
    rates=(--learning-rate 1.5e-3 --hidden-learning-rate 0.015 --set embedding_rate=1
      --set validation_records=1200)
    begun=${FROM:?name the run to start from: FROM=RUN} minutes=75
    [ "$plan" != more ] || minutes=82
    if [ "$plan" = names ]; then
      grown "$begun" "$dir-start" --width 192 --data "$data/data" --data "$data/others"
      minutes=46 begun=$dir-first
      if [ ! -f "$begun/glyphsight.json" ]; then
        first=()
        [ ! -f "$begun/settings.json" ] || first=(--resume)
        "$glyphsight" train --from "$dir-start" --data "$data/data" --data "$data/others" \
          --out "$begun" --seed 1 --set compile=on "${rates[@]}" --set warmup=0.03 \
          --set schedule=constant --set minutes="${FIRST_MINUTES:-52}" --set evaluations=4 \
          --set most_labels=1200 "${first[@]}"
      fi
    fi
    grown "$begun" "$dir-second" --data "$data/data"
    own=(--from "$dir-second" "${rates[@]}" --set warmup=0.005 --set minutes="${MINUTES:-$minutes}"
      --set evaluations=4 --set most_labels=400)
    seed=2
    [ "$plan" != more ] || seed=3
  elif [ "$plan" = talk ] || [ "$plan" = signs ]; then
    # The base's own words, fewer than a training has it write by default.
    words=$(python -c 'from glyphsight.train.text import own_words
print(own_words("smollm2-135m", 5, texts=96, sums=192))')
    rate=7e-4 minutes=82 share=0.04
    [ "$plan" = talk ] || rate=6e-4 minutes=85 share=0.02
    own=(--from "${FROM:?name the run to start from: FROM=RUN}" --batch-size 16
      --learning-rate $rate --set minutes="${MINUTES:-$minutes}" --set warmup=0.02
      --set text_share=$share --set text_file="$words" --set evaluations=4
      --set validation_records=300 --set checkpoints=17)
  else
    own=(--from "${FROM:-sight}" --batch-size 16 --learning-rate 5e-4 --set minutes="${MINUTES:-240}"
      --set warmup=0.01 --set text_share=0.04 --set evaluations=8 --set validation_records=300
      --set checkpoints=48)
  fi
  "$glyphsight" train --data "$data/data" --out "$dir" --seed "$seed" --set compile=on "${own[@]}" \
    "${resume[@]}"
fi
for kind in $kinds; do
  "$glyphsight" evaluate --model "$dir" --data "$data/$kind" --split test --limit "${LIMIT:-1000}"
done
