#!/usr/bin/env bash
# Puts HEAD of this repository, Python 3.12, JAX for TPUs and the package on all workers, and mounts SHARE there.
# Again after a change: it replaces the code and keeps what was installed. PACKAGE_DATE takes packages as they were on
# a day: an unfinished run goes on only with the same versions of JAX and numpy.
#   tpu/setup.sh --name=bloom --project=P --zone=Z --accelerator=v5litepod-8 [--share=10.0.0.2:/runs] [--package-date=2026-11-25] [--dry-run]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=settings.sh
source tpu/settings.sh
read_settings 'NAME PROJECT ZONE ACCELERATOR' 'SHARE PACKAGE_DATE' "$@"
if [[ -z $SHARE ]] && has_several_hosts; then
    fail "SHARE: missing; $ACCELERATOR has several hosts, which need a folder that all see; expected --share=HOST:/FOLDER of an NFS server"
fi

run mkdir -p build
run git archive --format=tar.gz --output=build/jaxprune.tar.gz HEAD
run gcloud compute tpus tpu-vm scp build/jaxprune.tar.gz "$NAME:" "${PLACE[@]}" --worker=all

# Files that are no longer part of the code would change its digest, and with it what a rerun may go on with.
on_all_workers "mkdir -p jaxprune && rm -rf jaxprune/jaxprune jaxprune/configs jaxprune/scripts && tar -xzf jaxprune.tar.gz -C jaxprune"

# The Python of the TPU images is older than 3.11, which the package needs; uv brings its own.
on_all_workers "cd jaxprune && python3 -m pip install --quiet --user uv && python3 -m uv venv --quiet --allow-existing --python 3.12 .venv && python3 -m uv pip install --quiet ${PACKAGE_DATE:+$(quote --exclude-newer="$PACKAGE_DATE") }--python .venv/bin/python 'jax[tpu]' -e '.[datasets]'"

if [[ -n $SHARE ]]; then
    # 4.1: the server drops the locks of a client that is gone
    on_all_workers "sudo apt-get update -qq && sudo apt-get install -y -qq nfs-common && sudo mkdir -p $MOUNT && { mountpoint -q $MOUNT || sudo mount -t nfs -o vers=4.1 $(quote "$SHARE") $MOUNT; } && sudo chown \"\$(id -u)\" $MOUNT"
fi
