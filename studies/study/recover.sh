#!/usr/bin/env bash
# Recovers and evaluates the models of the study's part `sparsegpt`: RUNS/sparsegpt/* → RUNS/sparsegpt-recovered/*. An
# interrupted run continues when the command is repeated.
#
# bash studies/study/recover.sh RUNS MODEL DATA
set -euo pipefail
runs=$1 model=$2 data=$3

for run in "$runs"/sparsegpt/*-draw*; do
    IFS=- read -r kind language sparsity draw <<< "$(basename "$run")"
    recovered=$runs/sparsegpt-recovered/${kind}_recovered-$language-$sparsity-$draw
    [[ -f $recovered/perplexity/evaluation.json ]] && continue
    jaxprune recover --config "sweep_study:sparsegpt,$model,$data" --workdir "$recovered" \
        --config.recovery.run="$run" --config.recovery.how=distil --config.recovery.epochs=2 --config.recovery.batch=4 \
        --config.calibration.kind="$kind" --config.calibration.source="$language" \
        --config.calibration.draw="${draw#draw}/2" --config.mesh.data=1 --config.output.hf=True
    jaxprune evaluate --config "sweep_study:sparsegpt,$recovered/hf,$data" --workdir "$recovered" \
        --config.evaluation.languages="$language"
    rm -r "$recovered/hf"
done
