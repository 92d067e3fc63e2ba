#!/usr/bin/env bash
# The model tests of mmdet or mmsegmentation themselves, on the stand-in for mmcv's compiled ops.
#
#   tests/compat/run_upstream_tests.sh mmseg              the tests in the installed package
#   tests/compat/run_upstream_tests.sh mmdet [CHECKOUT]   mmdetection v3.3.0; cloned if not given
#
# mmdet's tests are in its git repository only. Further arguments go to pytest. Some tests need a
# network (pretrained weights) or optional packages, and fail without.
set -euo pipefail

library=${1:?usage: run_upstream_tests.sh mmdet|mmseg [CHECKOUT] [pytest arguments]}
shift
python=${PYTHON:-python}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
installed() { "$python" -c "import $1, os; print(os.path.dirname($1.__file__))"; }

case $library in
mmseg)
    package=$(installed mmseg)
    cp -r "$(dirname "$package")/tests" "$folder/tests"
    ln -s "$package/.mim/configs" "$folder/configs"
    ;;
mmdet)
    package=$(installed mmdet)
    if [[ $# -gt 0 && -d $1/tests/test_models ]]; then
        checkout=$1
        shift
    else
        checkout=$folder/mmdetection
        git clone --quiet --depth 1 --branch v3.3.0 \
            https://github.com/open-mmlab/mmdetection "$checkout"
    fi
    cp -r "$checkout/tests" "$folder/tests"
    # The tests find the configs beside the package that they import.
    cp -r "$package" "$folder/mmdet"
    ln -s "$package/.mim/configs" "$folder/configs"
    "$python" -c 'import parameterized' || {
        echo 'mmdet tests need: pip install parameterized' >&2
        exit 1
    }
    ;;
*)
    echo "mmdet or mmseg, not $library" >&2
    exit 1
    ;;
esac

# `-p vitmm` imports vitmm before the first test, as a user would.
cd "$folder"
PYTHONPATH="$folder${PYTHONPATH:+:$PYTHONPATH}" "$python" -m pytest -c /dev/null \
    --rootdir "$folder" -p vitmm -p no:cacheprovider -q -W ignore --tb=line tests/test_models "$@"
