#!/usr/bin/env bash
# models/flickr8k: the transformer on grids of EfficientNet-Lite2, taught by models/flickr8k-xception.
#
# Time, 2 cores (AMD EPYC without AVX-512): grids 15 minutes by ONNX Runtime, the teacher's 18, its
# soft targets 3, ten epochs 60 on a machine that other work shared. Disk: 2.0 GB of grids (4 views
# of 7,091 photos), and 1.4 GB for the teacher (1 view).
# To expect on dev (1,000 photos, words only, beam 8, length power 1.0, 4 views): TO BE MEASURED
# Another run gives other weights of like quality.
#
# Wants Flickr8k in Flicker8k_Dataset/ and Flickr_8k_text/ (python features.py --download).
set -euo pipefail
cd "$(dirname "$0")/.."

python features.py --encoder efficientnet-lite2 --grids --views 4 --output models/lite2
python features.py --like models/flickr8k-xception --output models/teacher "$@"
python train.py --data models/lite2 --decoder transformer --epochs 10 --output models/distilled \
    --teacher models/flickr8k-xception --teacher-data models/teacher
python export.py models/distilled
python evaluate.py --data models/lite2 --model models/distilled \
    --beam 8 --length-penalty 1.0 --views 4
