#!/usr/bin/env bash
# Train the adapter that reads many kinds of pictures: bash scripts/open_eyes.sh DATA [DIR]
#
# DATA is what scripts/open_eyes.py made; DIR is runs/eyes unless given. The stage starts from `sight`
# and takes MINUTES (240) of one core; a run that was stopped resumes from its last checkpoint.
set -euo pipefail
data=${1:?"name the data: bash scripts/open_eyes.sh DATA, made by scripts/open_eyes.py"}
dir=${2:-runs/eyes}
glyphsight=${GLYPHSIGHT:-glyphsight}
kinds="digits letters words art-picture icons sketches clothes scenes vitc-s-picture vitc-l-picture"

if [ ! -f "$dir/glyphsight.json" ]; then
  resume=()
  [ ! -f "$dir/settings.json" ] || resume=(--resume)
  "$glyphsight" train --from sight --data "$data/data" --out "$dir" --seed 1 --batch-size 16 \
    --learning-rate 5e-4 --set minutes="${MINUTES:-240}" --set warmup=0.01 --set text_share=0.04 \
    --set evaluations=8 --set validation_records=300 --set checkpoints=48 "${resume[@]}"
fi
for kind in $kinds; do
  "$glyphsight" evaluate --model "$dir" --data "$data/$kind" --split test --limit "${LIMIT:-1000}"
done
