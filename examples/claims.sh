#!/usr/bin/env bash
# Claims about explanations and attacks that a folder of pictures can test, one command each; tables under OUT.
# usage: examples/claims.sh FOLDER OUT [advcli options, such as --model NAME...]
set -euo pipefail
folder=$1
out=$2
shift 2
# "The least probable target needs more steps and noise than the second": tables/strategy_differences.csv
advcli attack "$folder" --method ascent --target second --target least --no-panels --out "$out/targets" -q=adversarial "$@" >/dev/null
# "Random Gaussian noise does not move the prediction": tables/cases.csv, beside an attack of the same l2
advcli attack "$folder" --method gaussian-noise:norm=l2 --method pgd:norm=l2 --eps 0.25,0.5,1,2 --no-panels \
    --out "$out/noise" -q=adversarial "$@" >/dev/null
# "Scores after the softmax weaken Grad-CAM, before it they strengthen Integrated Gradients": tables/grades.csv
advcli explain "$folder" --method grad-cam --method integrated-gradients:steps=20 --score logit,prob --grade --no-panels \
    --out "$out/softmax" -q=map "$@" >/dev/null
# "Grad-CAM gives attacks away": tables/detection.csv, rows "adaptive" against rows "plain"
advcli compare "$folder" --attack pgd --eps 8/255 --explain grad-cam --explain gradient --detect adaptive --no-panels \
    --out "$out/detect" -q=adversarial "$@" >/dev/null
