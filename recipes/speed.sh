#!/usr/bin/env bash
# benchmarks/README.md: each step beside the classic recipe on the same work, and growth with size.
#
# Time: 20 minutes on 2 cores; nothing else should run on the machine.
# To expect (AMD EPYC, AVX-512): vectors 2.5 times the classic rate in float32 and 4.5 in bfloat16,
# training 27 times, greedy captions 1,330 times.
#
# Wants photos and weights of Xception: the paths are options, see benchmarks/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."

python benchmarks/run.py all "$@"
