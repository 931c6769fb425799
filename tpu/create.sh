#!/usr/bin/env bash
# Asks for a TPU as a queued resource and waits until it is there. One that exists is not made twice.
#   tpu/create.sh --name=bloom --project=P --zone=Z --accelerator=v5litepod-8 --runtime-version=v2-alpha-tpuv5-lite [--spot] [--dry-run]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
read_settings 'NAME PROJECT ZONE ACCELERATOR RUNTIME_VERSION' 'SPOT POLL_SECONDS' "$@"
[[ -z $SPOT || $SPOT == 1 ]] || fail "SPOT: $SPOT; expected 1, or nothing"

create() {
    run gcloud compute tpus queued-resources create "$NAME" --node-id="$NAME" "${PLACE[@]}" \
        --accelerator-type="$ACCELERATOR" --runtime-version="$RUNTIME_VERSION" ${SPOT:+--spot}
}

if [[ -n $DRY_RUN ]]; then # of a TPU that does not exist yet
    list
    create
    list
    exit
fi

now=$(state)
if [[ -z $now ]]; then
    create
    now=$(state)
else
    echo "$NAME: exists already"
fi
said=
while true; do
    [[ $now == "$said" ]] || echo "$NAME: ${now:-gone}"
    said=$now
    case $now in
        ACTIVE) exit ;;
        '' | FAILED | SUSPENDING | SUSPENDED | DELETING)
            echo "error: $NAME: ${now:-gone}; tpu/delete.sh takes it away, then create it again" >&2
            exit 1
            ;;
    esac
    sleep "${POLL_SECONDS:-30}"
    now=$(state)
done
