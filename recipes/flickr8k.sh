#!/usr/bin/env bash
# models/flickr8k: the transformer on grids of EfficientNet-Lite2, taught by models/flickr8k-xception.
#
# Time, 2 cores (AMD EPYC without AVX-512) that other work shared: grids 30 minutes, the teacher's 35,
# its soft targets 2, ten epochs 75, an epoch of fine-tuning 12. Disk: 2.0 GB of grids (4 views of
# 7,091 photos), and 1.4 GB for the teacher (1 view).
# To expect on dev (1,000 photos, words only, beam 8, length power 1.0, 4 views): before fine-tuning
# CIDEr 60.4, BLEU-4 23.9, METEOR 21.7; after its first epoch CIDEr 61.8, BLEU-4 25.1.
# Another run gives other weights of like quality.
#
# Wants Flickr8k in Flicker8k_Dataset/ and Flickr_8k_text/ (python features.py --download).
set -euo pipefail
cd "$(dirname "$0")/.."

python features.py --encoder efficientnet-lite2 --grids --views 4 --output models/lite2
python features.py --like models/flickr8k-xception --output models/teacher "$@"
python train.py --data models/lite2 --decoder transformer --epochs 10 --output models/distilled \
    --teacher models/flickr8k-xception --teacher-data models/teacher
python train.py --data models/lite2 --initial models/distilled --finetune cider --epochs 1 \
    --output models/lite2-fine-tuned
python export.py models/lite2-fine-tuned
python evaluate.py --data models/lite2 --model models/lite2-fine-tuned \
    --beam 8 --length-penalty 1.0 --views 4
