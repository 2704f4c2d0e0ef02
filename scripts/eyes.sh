#!/usr/bin/env bash
# Train the `nano-digits` and `nano-fashion` that ship from the runs of recipes/nano-digits.yaml and
# recipes/nano-fashion.yaml: to say `unknown`, and to read what other people write and print.
#
#     bash scripts/eyes.sh DIGITS CLOTHES MNIST FASHION FONTS MORE_FONTS QUICKDRAW PHOTOS ICONS OUT
#
# DIGITS and CLOTHES are those runs; the others are as scripts/clear_eyes.py takes them, MORE_FONTS
# a larger set of families, PHOTOS without the clothes of tuxpaint-stamps-default. Three hours of
# one CPU core; OUT/6 and OUT/clothes are what ships. The digits learned from the pictures that
# clear_eyes.py drew at commit 6c12a6c, and spelled `unknown`; it draws more now, and that is a token.
set -euo pipefail
digits=$1 clothes=$2 mnist=$3 fashion=$4 fonts=$5 more=$6 sketches=$7 photos=$8 icons=$9 out=${10}
mkdir -p "$out"
here=$(dirname "$0")
draw() { python "$here/clear_eyes.py" --mnist "$mnist" --hold-out "$out/mnist" --fashion "$fashion" --sketches "$sketches" "$@"; }
train() { glyphsight train --set warmup=0.02 "$@"; }

glyphsight dataset build --source "idx:$mnist" --out "$out/mnist" --invert auto --centre --ink \
  --split train --validation 2000 --copies 2
draw --fonts "$fonts" --out "$out/pictures"
draw --fonts "$more" --out "$out/more" --seed 1 --share 0.5 \
  --only 'very coarse' blob 'empty page' photographed letter printed
for name in pictures more; do
  glyphsight dataset build --source "folder:$out/$name" --out "$out/$name-data" --invert auto --centre --ink
done
train --from "$digits" --data "$out/pictures-data" --out "$out/1" --seed 0 \
  --learning-rate 1e-3 --hidden-learning-rate 0.01
train --from "$out/1" --data "$out/pictures-data" --data "$out/more-data" --out "$out/2" --seed 1 \
  --learning-rate 1e-3 --hidden-learning-rate 0.01 --set max_steps=5598
train --from "$out/2" --data "$out/pictures-data" --data "$out/more-data" --data "$out/mnist" \
  --out "$out/3" --seed 3 --learning-rate 7e-4 --hidden-learning-rate 0.007 --set max_steps=8775
python "$here/average.py" "$digits" "$out/3" "$out/digits" --share 0.93
python "$here/choose_unknown.py" "$out/digits" "$out/pictures-data"

# Icons as no digit, and all ink as it is found today; copies of digits beside them.
glyphsight dataset build --source "idx:$mnist" --out "$out/copies" --invert auto --centre --ink \
  --split train --validation 2000 --copies 9
draw --fonts "$more" --photos "$photos" --icons "$icons" --out "$out/all"
for kinds in clear print; do
  python "$here/some_pictures.py" "$out/all" "$out/$kinds-pictures" --mix $kinds
  glyphsight dataset build --source "folder:$out/$kinds-pictures" --out "$out/$kinds-data" --invert auto --centre --ink
done
clear=(--data "$out/copies" --data "$out/clear-data" --data "$out/clear-data")
train --from "$out/digits" "${clear[@]}" --data "$out/clear-data" --out "$out/5" --seed 12 \
  --learning-rate 7e-4 --hidden-learning-rate 0.007 --set embedding_rate=1 --set max_steps=7356
train --from "$out/5" "${clear[@]}" --data "$out/print-data" --data "$out/print-data" --out "$out/6" --seed 13 \
  --learning-rate 6e-4 --hidden-learning-rate 0.006 --set embedding_rate=1 --set max_steps=4050
python "$here/choose_unknown.py" "$out/6" "$out/clear-data" --refused 0.002 --least 0.005 --turned-by 6

draw --known clothes --fonts "$more" --photos "$photos" --out "$out/clothes-drawn"
python "$here/some_pictures.py" "$out/clothes-drawn" "$out/clothes-pictures" --mix clothes
as_clothes=(--format plain --width 27 --height 20 --dither floyd-steinberg)
glyphsight dataset build --source "folder:$out/clothes-pictures" --out "$out/strange" "${as_clothes[@]}"
for split in train validation; do
  glyphsight dataset build --source "idx:$fashion" --out "$out/clothes-$split" "${as_clothes[@]}" --split $split \
    --validation 2000 --copies 3 --shift 1 --rotation 0 --scale 0 --shear 0 --mirror 0.5
done
train --from "$clothes" --data "$out/clothes-train" --data "$out/strange" --out "$out/4" --seed 7 \
  --learning-rate 2e-4 --hidden-learning-rate 0.002 --set warmup=0.05 --set embedding_rate=0 --set max_steps=1703
python "$here/average.py" "$clothes" "$out/4" "$out/clothes" --share 0.7
python "$here/choose_unknown.py" "$out/clothes" "$out/clothes-validation" "$out/strange" --least 0.005
