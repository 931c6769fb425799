#!/usr/bin/env bash
# Copies a workdir from the TPU into the folder TO of this machine; by default into runs.
#   tpu/fetch.sh --name=bloom --project=P --zone=Z --workdir=runs/nano [--to=runs] [--dry-run]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
read_settings 'NAME PROJECT ZONE WORKDIR' 'TO' "$@"

[[ $WORKDIR == /* ]] || WORKDIR=jaxprune/$WORKDIR # run.sh runs there
run mkdir -p "${TO:-runs}"
run gcloud compute tpus tpu-vm scp "$NAME:$WORKDIR" "${TO:-runs}" "${PLACE[@]}" --recurse --worker=0
