#!/usr/bin/env bash
# Everything that needs an accelerator, in one go, on a machine that has torch but no network.
#
#   benchmarks/gpu.sh --collect [3.12]    with a network: put the wheels that such a machine (its
#                                         Python) may lack into .gpu-wheels/
#   benchmarks/gpu.sh [OPTION ...]        there: run the tests for GPUs and all benchmarks; results
#                                         in $OUT (gpu-results/). `--help` shows the options.
#   benchmarks/gpu.sh --device cpu        try this script where there is no GPU, in short sizes
#
# $PYTHON is the interpreter that has torch (python3).
set -euo pipefail
cd "$(dirname "$0")/.."

WHEELS=.gpu-wheels
# What the machine has; too large to bring along, for the greater part.
GIVEN="torch numpy scipy scikit-learn matplotlib typer safetensors xarray pandas h5py jaxtyping
  pytest numba tensorboard"
# What only developing needs.
UNUSED="dask-jobqueue distributed editables hatchling pip pyright ruff"

collect() {
  local version=$1 platforms=(manylinux_2_{5,12,17,24,27,28}_x86_64 manylinux{1,2010,2014}_x86_64)
  rm -rf $WHEELS
  mkdir $WHEELS
  # The versions of uv.lock, less those that are for other versions of Python.
  # shellcheck disable=SC2046,SC2086
  uv export --quiet --frozen --no-emit-workspace --no-hashes --no-header --no-annotate \
    $(printf -- '--prune %s ' $GIVEN $UNUSED) |
    uv pip compile --quiet --no-deps --no-header --no-annotate --python-version "$version" \
      --python-platform x86_64-manylinux_2_28 --output-file $WHEELS/requirements.txt -
  # Pip matches each platform to the letter.
  uvx pip download --quiet --no-deps --only-binary :all: --implementation cp \
    --python-version "$version" "${platforms[@]/#/--platform=}" \
    --requirement $WHEELS/requirements.txt --dest $WHEELS
  echo "$(find $WHEELS -name '*.whl' | wc -l) wheels for Python $version, $(du -sh $WHEELS | cut -f1)"
}

if [[ ${1-} == --collect ]]; then
  collect "${2-3.12}"
else
  exec "${PYTHON-python3}" benchmarks/gpu.py --wheels $WHEELS "$@"
fi
