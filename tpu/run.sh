#!/usr/bin/env bash
# Prunes on all workers with scripts/prune.py and waits for it. What follows -- goes to that script.
# The same command again goes on where it was interrupted.
#   tpu/run.sh --name=bloom --project=P --zone=Z --accelerator=v5litepod-8 --config=configs/nano.py --workdir=runs/nano [--dry-run] [-- FLAGS]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
read_settings 'NAME PROJECT ZONE ACCELERATOR CONFIG WORKDIR' '' "$@"

command=(.venv/bin/python scripts/prune.py --config="$CONFIG" --workdir="$WORKDIR")
if has_several_hosts; then
    [[ $WORKDIR == "$MOUNT"/?* ]] || fail "WORKDIR: $WORKDIR; $ACCELERATOR has several hosts; expected a folder in $MOUNT, which all see"
    command+=(--distributed)
fi
# exec: a signal for the run reaches it, not a shell around it
on_all_workers "cd jaxprune && exec $(quote "${command[@]}" ${REST[@]+"${REST[@]}"})"
