#!/usr/bin/env bash
# Deletes the TPU and its request, with all that is on its disks. If there is none, that is fine too.
#   tpu/delete.sh --name=bloom --project=P --zone=Z [--dry-run]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
read_settings 'NAME PROJECT ZONE' '' "$@"

delete() {
    run gcloud compute tpus queued-resources delete "$NAME" "${PLACE[@]}" --force --quiet
}

if [[ -n $DRY_RUN ]]; then # of a TPU that exists
    list
    delete
    exit
fi

now=$(state)
case $now in
    '') echo "$NAME: nothing to delete" ;;
    DELETING) echo "$NAME: being deleted already" ;;
    *) delete ;;
esac
