#!/usr/bin/env bash
# Robust accuracy of a folder of class folders at several sizes of attack, as CSV on standard output.
# usage: examples/robustness-of-a-folder.sh FOLDER [advcli options...]
set -euo pipefail
folder=$1
shift
echo "eps,robust_accuracy,low,high"
for eps in 0.5/255 1/255 2/255 4/255 8/255; do
    advcli attack "$folder" --eps "$eps" --no-panels --out "robustness/${eps/\//-of-}" --json "$@" |
        python3 -c 'import json, sys; s = json.load(sys.stdin)["summary"]
print(sys.argv[1], s["robust_accuracy"], s["robust_accuracy_low"], s["robust_accuracy_high"], sep=",")' "$eps"
done
