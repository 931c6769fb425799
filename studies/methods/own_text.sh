#!/usr/bin/env bash
# Models of the table "One pass over more text" in docs/after_pruning.md: OUT/NAME_LANGUAGE, and OUT/times with their CPU
# seconds. DATA is what studies/study/make_data.py writes. Repeat the command to resume.
#
# bash studies/methods/own_text.sh MODEL DATA OUT
set -euo pipefail
model=$1 data=$2 out=$3
mkdir -p "$out"

evaluated() { # FOLDER MODEL LANGUAGE
    jaxprune evaluate --config "base:$2" --workdir "$1" --config.evaluation.tasks= \
        --config.evaluation.perplexity="$data/text" --config.evaluation.languages="$3" --config.mesh.data=1
}

pruned() { # NAME LANGUAGE ALLOCATION
    local run=$out/$1_$2
    /usr/bin/time --format "$1_$2 %U" --append --output "$out/times" \
        jaxprune prune --config "base:$model" --workdir "$run" "${text[@]}" --config.calibration.samples=96 \
        --config.pruning.sparsity=0.5 --config.pruning.criterion=sparsegpt --config.pruning.allocation="$3"
    evaluated "$run" "$run/hf" "$2"
}

recovered() { # NAME LANGUAGE PRUNED SAMPLES BATCH EPOCHS
    local run=$out/$1_$2
    /usr/bin/time --format "$1_$2 %U" --append --output "$out/times" \
        jaxprune recover --config "base:$model" --workdir "$run" "${text[@]}" --config.calibration.samples="$4" \
        --config.recovery.run="$out/$3_$2" --config.recovery.how=distil --config.recovery.batch="$5" \
        --config.recovery.epochs="$6"
    evaluated "$run" "$run/hf" "$2"
}

for language in fr ru zh sw; do
    text=(--config.calibration.data="$data/ntrex" --config.calibration.kind=monolingual --config.mesh.data=1
        --config.calibration.source="$language" --config.calibration.draw=1/2 --config.calibration.max_length=1024)
    evaluated "$out/dense_$language" "$model" "$language"
    pruned sparsegpt "$language" uniform
    recovered twice "$language" sparsegpt 96 4 2
    recovered once "$language" sparsegpt 216 1 1
    pruned allocated "$language" predictions
    recovered allocated_once "$language" allocated 216 1 1
done
