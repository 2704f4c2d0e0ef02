#!/usr/bin/env bash
# Make the model `hearing`: bash scripts/hearing.sh FSDD ESC OUT
#
# FSDD holds the Free Spoken Digit Dataset, ESC ESC-10; OUT takes all that is made. The stages: the
# digits of FSDD, these and synthetic ones, then what is no digit besides. Needs espeak-ng.
set -euo pipefail
fsdd=$1 esc=$2 out=$3
here=$(dirname "$0")

build() { # build NAME SOURCE OPTIONS...
  glyphsight dataset build --source "$2" --out "$out/$1" --format plain --palette blocks \
    --width 15 --height 20 --trim 25 --threshold 85,128,170,213 \
    --shift 3 --scale 0.2 --noise 120 --pitch 0.2 --tone 10 --mask 0.15 "${@:3}"
}
stage() { # stage NAME OPTIONS...
  glyphsight train --out "$out/$1" --set label_smoothing=0.05 "${@:2}"
}

build data "fsdd:$fsdd" --validation 270 --copies 15
python "$here/synthetic_speech.py" "$out/speech"
build data-digits "audiofolder:$out/speech" --validation 200 --copies 1
python "$here/synthetic_speech.py" "$out/speech" --words 2000
build data-speech "audiofolder:$out/speech" --validation 300 --copies 1
python "$here/no_digits.py" "$out/none" --fsdd "$fsdd" --esc "$esc"
build data-none "audiofolder:$out/none" --validation 100 --copies 2

stage first --model nano --data "$out/data" --set epochs=4 --set minutes=13 \
  --set batch_size=80 --set evaluations=8
stage second --from "$out/first" --data "$out/data" --data "$out/data-digits" --seed 1 \
  --learning-rate 1.5e-3 --hidden-learning-rate 0.015 --set minutes=8 --set batch_size=80 \
  --set evaluations=2
stage third --from "$out/second" --data "$out/data" --data "$out/data-speech" \
  --data "$out/data-none" --seed 2 --learning-rate 1e-3 --hidden-learning-rate 0.01 \
  --set minutes=8 --set evaluations=1
