#!/bin/bash
# Predict a whole data set on several Slurm nodes: a Ray cluster for the time of the job.
#
#   lmeec recipe cp slurm
#   TAKES=/data/egoexo4d CHECKPOINT=/data/weights/ OUT=/data/results.parquet sbatch slurm.sh
#
# Edit the #SBATCH lines and the environment to your site. TAKES, CHECKPOINT and OUT must be on storage that all nodes see. Twenty
# minutes before the time limit the run finishes the takes at hand and the job queues itself again; it then goes on
# where it was.
#SBATCH --job-name=lmeec
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@1200
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=lmeec-%j.log

set -euo pipefail

: "${TAKES:?set TAKES to the folder of the data set}"
: "${OUT:?set OUT to the results file}"
: "${CHECKPOINT:?set CHECKPOINT to the weights, such as the folder of the released pair}"
VENV=${VENV:-.venv}
PORT=${PORT:-6379}

# shellcheck disable=SC1091
source "$VENV/bin/activate"
export RAY_USAGE_STATS_ENABLED=0

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
gpus=${SLURM_GPUS_ON_NODE:-0}
cpus=${SLURM_CPUS_PER_TASK:-1}

start_ray() { # node, arguments of `ray start`
  local node=$1
  shift
  srun --nodes=1 --ntasks=1 --overlap --nodelist="$node" \
    ray start --block --num-cpus="$cpus" --num-gpus="$gpus" "$@" &
}

start_ray "$head" --head --node-ip-address="$head" --port="$PORT"
until ray status --address="$head:$PORT" > /dev/null 2>&1; do sleep 2; done
for node in "${nodes[@]:1}"; do
  start_ray "$node" --address="$head:$PORT"
done

lmeec predict "$TAKES" --out "$OUT" --checkpoint "$CHECKPOINT" --ray-address "$head:$PORT" --log-format text &
driver=$!

# An interrupt lets the driver finish the takes at hand.
ending=
trap 'ending=1; kill -INT "$driver"' USR1

status=0
wait "$driver" || status=$?
if [[ -n $ending ]]; then
  # The signal ended the wait above, not the driver.
  status=0
  wait "$driver" || status=$?
  if [[ $status -eq 130 ]]; then
    scontrol requeue "$SLURM_JOB_ID"
  fi
fi
exit "$status"
