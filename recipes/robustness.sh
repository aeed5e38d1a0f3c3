#!/usr/bin/env bash
# docs/robustness.md: kills at random moments, hostile files, fuzzed files, eight people at once.
#
# Time: about 2 hours on 2 cores.
# To expect: every test passes: no output lost, none half-written, nothing in a file run.
set -euo pipefail
cd "$(dirname "$0")/.."

python -m pytest -m nightly "$@"
python -m pytest tests/test_images.py tests/test_hostile*.py tests/test_kills.py tests/test_interruptions.py tests/test_stamps.py tests/test_download.py
