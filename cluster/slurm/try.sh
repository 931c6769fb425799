#!/usr/bin/env bash
# Tries the files of this folder on a Slurm of two nodes, which this script starts on this machine and ends:
# cluster/slurm/try.sh OUT. Needs root, and Debian's slurm-wlm and munge. Meanwhile /etc/hosts has the names of
# the nodes, as the processes of a run connect to the first one by its name.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
slurm=$(mktemp -d)
host=$(hostname -s)
export SLURM_CONF=$slurm/slurm.conf
daemons=()
echo '127.0.0.1 n1 n2 # of try.sh' >>/etc/hosts
trap 'sed "/# of try.sh$/d" /etc/hosts >"$slurm/hosts"; cat "$slurm/hosts" >/etc/hosts; kill "${daemons[@]}" 2>/dev/null || true; wait; rm -rf "$slurm"' EXIT

mkdir -p "$slurm/state" "$slurm/spooln1" "$slurm/spooln2"
head -c 1024 /dev/urandom >"$slurm/munge.key"
chmod 0400 "$slurm/munge.key"
cat >"$SLURM_CONF" <<CONF
ClusterName=try
SlurmctldHost=$host(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=$slurm/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool%n
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd%n.pid
SlurmctldPort=16817
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=17001 CPUs=2
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=17002 CPUs=2
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=60 State=UP
CONF

munged --foreground --force --key-file="$slurm/munge.key" --socket="$slurm/munge.socket" \
    --pid-file="$slurm/munged.pid" --log-file="$slurm/munged.log" --seed-file="$slurm/munged.seed" &
daemons+=($!)
sleep 1
slurmctld -D -L "$slurm/slurmctld.log" &
daemons+=($!)
for node in n1 n2; do
    slurmd -D -N "$node" -L "$slurm/$node.log" &
    daemons+=($!)
done
for _ in $(seq 30); do
    [[ $(sinfo --noheader --states=idle --format=%D 2>/dev/null) == 2 ]] && break
    sleep 1
done
sinfo

cd "$out"
sweep=(
    --config sweep_nano
    --config.evaluation.tasks=nano_nli
    --config.evaluation.rows=60
    --config.evaluation.translation=
    '--config.sweep.grid=pruning.criterion=magnitude|wanda calibration.kind=monolingual|translation calibration.source=de|en|fr|sw pruning.sparsity=0.3|0.4|0.5'
)
# One run on two nodes.
sbatch --wait --nodes=2 --output=run.log "$here/run.sbatch" prune --config nano --workdir "$out/run"
jaxprune verify run
# Four workers of a sweep.
sbatch --wait --array=0-3 --cpus-per-task=1 --output=sweep-%a.log "$here/sweep.sbatch" "${sweep[@]}" --workdir "$out/sweep"
jaxprune report sweep >/dev/null
# Four shares of the same sweep in four workdirs.
sbatch --wait --array=0-3 --cpus-per-task=1 --output=share-%a.log --wrap \
    "exec jaxprune sweep ${sweep[*]@Q} --workdir $out/share\$SLURM_ARRAY_TASK_ID --shard=auto/4"
jaxprune sweep --merge share0 share1 share2 share3 --workdir merged >/dev/null
# The same tables.
for table in measurements.csv changes.csv; do
    cmp "sweep/$table" "merged/$table"
done
variants=(merged/*/)
echo "${#variants[@]} variants: the same tables by an array and by merged shares"
echo "done: $out"
