# Packs three models for French and Swahili, for the table of docs/guide/pack.md; about 90 minutes on two cores.
#
# bash studies/pack/three_sizes.sh MODELS NTREX FLORES OUT
#
# MODELS has the folders smollm2, gemma3-270m and qwen05. Then: python docs/figures/packed.py OUT
set -e
models=$1 text=$2 heldout=$3 out=$4
mkdir -p "$out"
for name in smollm2 gemma3-270m qwen05; do
  /usr/bin/time -f "$name %e %M" -a -o "$out/times" \
    python scripts/pack.py --model "$models/$name" --languages fr,sw --text "$text" --heldout "$heldout" \
    --workdir "$out/$name" | tee "$out/$name.txt"
done
