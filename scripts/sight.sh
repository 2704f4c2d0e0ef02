#!/usr/bin/env bash
# Train the adapter of SmolLM2 that ships, `sight`: bash scripts/sight.sh SOURCE [DIR] [PICTURES]
#
# SOURCE holds MNIST's files, as idx:DIR; DIR is runs/sight unless given. The stages: all weights,
# all but the embeddings, the low-rank part of what they learned, trained again, then with changed
# copies and the base's own words among them, so that it still talks, then three times on digits
# cropped to their ink; the mean of the last two is `digits alone`. It takes about eight hours on two
# cores. With PICTURES that scripts/clear_eyes.py drew (--hold-out DIR/1/data, --photos, --icons), two more
# stages learn other people's digits and to say `unknown`, in three hours of one core; that ships.
# Four more learn to answer questions: `sight-vqa`. What ships read other rows in the first three, was
# stopped after 518 of 757 steps of the second, and was told the bare sum of digits, which is written out now.
# A stage that is done stays; one that was stopped resumes from its last checkpoint.
set -euo pipefail
source=${1:?"name MNIST's files: bash scripts/sight.sh idx:DIR"}
dir=${2:-runs/sight} pictures=${3:-}
glyphsight=${GLYPHSIGHT:-glyphsight}
here=$(dirname "$0")

stage() { # stage NAME OPTIONS...
  local out=$dir/$1 resume=()
  shift
  [ ! -f "$out/glyphsight.json" ] || return 0
  [ ! -f "$out/settings.json" ] || resume=(--resume)
  "$glyphsight" train --out "$out" "$@" "${resume[@]}"
}
build() { # build NAME OPTIONS...
  local out=$dir/$1
  shift
  [ -f "$out/manifest.json" ] || "$glyphsight" dataset build --source "$source" --out "$out" --invert auto --centre --format plain "$@"
}
made() { # made NAME SCRIPT ARGUMENTS...
  [ -f "$dir/$1/glyphsight.json" ] || python "$here/$2" "${@:3}"
}

stage 1 --recipe "$here/../recipes/sight.yaml" --source "$source"
stage 2 --data "$dir/1/data" --from "$dir/1" --seed 1 --learning-rate 2e-4 \
  --set warmup=0.05 --set max_steps=3429 --set evaluations=40 --set validation_records=400
made cut low_rank.py "$dir/2" "$dir/cut" --rank 8 --data "$dir/1/data"
stage 3 --data "$dir/1/data" --from "$dir/cut" --seed 2 --learning-rate 5e-4 \
  --set warmup=0.05 --set max_steps=2744 --set evaluations=20 --set validation_records=400
build 4-data --validation 2000 --copies 2
stage 4 --data "$dir/4-data" --from "$dir/3" --seed 3 --learning-rate 5e-4 \
  --set warmup=0.05 --set text_share=0.2 --set max_steps=1300 --set evaluations=13 --set validation_records=200
build 5-data --hold-out "$dir/1/data" --width 16 --height 9 --palette ' ·█' --crop 0
stage 5 --data "$dir/5-data" --from "$dir/4" --seed 4 --learning-rate 5e-4 \
  --set warmup=0.05 --set text_share=0.08 --set max_steps=1700 --set evaluations=6 --set validation_records=300
stage 6 --data "$dir/5-data" --from "$dir/5" --seed 5 --learning-rate 5e-4 \
  --set warmup=0.03 --set text_share=0.14 --set max_steps=3000 --set evaluations=8 --set validation_records=500
stage 7 --data "$dir/5-data" --from "$dir/6" --seed 6 --batch-size 16 --learning-rate 5e-4 \
  --set warmup=0.03 --set text_share=0.14 --set max_steps=2900 --set evaluations=6 --set validation_records=500 --set checkpoints=30
made mean average.py "$dir/6" "$dir/7" "$dir/mean"
"$glyphsight" evaluate --model "$dir/mean" --data "$dir/5-data" --split validation
"$glyphsight" evaluate --model "$dir/mean" --forgetting
[ -n "$pictures" ] || exit 0
words=$(python -c 'from glyphsight.train.text import own_words
print(own_words("smollm2-135m", 5, texts=96, sums=192))')
encoded() { # encoded NUMBER OPTIONS...: choose DIR/NUMBER-pictures and write them in the text of `sight`
  [ -d "$dir/$1-pictures" ] || python "$here/some_pictures.py" "$pictures" "$dir/$1-pictures" "${@:2}"
  [ -f "$dir/$1-data/manifest.json" ] || "$glyphsight" dataset build --source "folder:$dir/$1-pictures" --out "$dir/$1-data" \
    --format plain --width 16 --height 9 --palette ' ·█' --invert auto --ink --centre --crop 0 --seed 1
}
learn() { # learn NUMBER START OPTIONS...: a stage on DIR/NUMBER-data
  stage "$1" --data "$dir/$1-data" --from "$2" --batch-size 16 --set warmup=0.02 --set text_share=0.05 \
    --set text_file="$words" --set validation_records=400 --set compile=on "${@:3}"
}
encoded 8
learn 8 "$dir/mean" --seed 1 --learning-rate 6e-4 --set max_steps=1781 --set evaluations=4 --set checkpoints=17
encoded 9 --mix more --without "$dir/8-pictures"
learn 9 "$dir/8" --seed 2 --learning-rate 5e-4 --set max_steps=1862 --set evaluations=1 --set checkpoints=10
python "$here/choose_unknown.py" "$dir/9" "$dir/5-data" "$dir/8-data"  # digits of all kinds
"$glyphsight" evaluate --model "$dir/9" --data "$dir/5-data" --split validation
encoded 10 --mix asked
encoded 13 --mix doubt --without "$dir/10-pictures"
ask() { # ask NUMBER DATA SEED START OPTIONS...: a stage on names and questions about DIR/DATA-data
  [ -d "$dir/$1-asked" ] || python "$here/asked_digits.py" "$dir/$2-data" "$dir/$1-asked" --seed "$3"
  stage "$1" --data "$dir/$1-asked/names" --data "$dir/$1-asked/questions" --from "$dir/$4" --batch-size 16 --set warmup=0.02 \
    --set text_file="$words" --set evaluations=1 --set validation_records=300 --set compile=on "${@:5}"
}
ask 10 10 36 9 --seed 3 --learning-rate 5e-4 --set text_share=0.0176 --set max_steps=1119
ask 11 10 37 10 --seed 4 --learning-rate 5e-4 --set text_share=0.04 --set max_steps=757
ask 12 10 38 11 --seed 5 --learning-rate 4e-4 --set text_share=0.04 --set max_steps=408
ask 13 13 39 12 --seed 6 --learning-rate 5e-4 --set text_share=0.04 --set max_steps=953
python "$here/choose_unknown.py" "$dir/13" "$dir/5-data" "$dir/10-data" --refused 0.004
"$glyphsight" evaluate --model "$dir/13" --data "$dir/5-data" --split validation
"$glyphsight" evaluate --model "$dir/13" --data use:bundled
