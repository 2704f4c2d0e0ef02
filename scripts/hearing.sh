#!/usr/bin/env bash
# Make the model `hearing`: bash scripts/hearing.sh FSDD ESC OUT
#
# FSDD holds the Free Spoken Digit Dataset, ESC ESC-10; OUT takes all that is made, OUT/run the
# model. One training, recipes/hearing.yaml: digits, synthetic digits and words, and what is no
# digit. 42 minutes of one core besides making the data. Needs espeak-ng.
set -euo pipefail
fsdd=$1 esc=$2 out=$3
here=$(dirname "$0")

python "$here/synthetic_speech.py" "$out/speech" --words 2000
python "$here/no_digits.py" "$out/none" --fsdd "$fsdd" --esc "$esc"
glyphsight train --recipe "$here/../recipes/hearing.yaml" --out "$out/run" --set compile=on \
  --source "digits=fsdd:$fsdd" --source "words=audiofolder:$out/speech" \
  --source "none=audiofolder:$out/none"
data=$out/run/data
python "$here/choose_unknown.py" "$out/run" "$data/digits" "$data/words" "$data/none" --refused 0.01
