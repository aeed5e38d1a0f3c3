#!/usr/bin/env bash
# models/flickr8k: the transformer on grids of EfficientNet-Lite2, taught by models/flickr8k-xception.
#
# Time, 2 cores (Intel Xeon, AMX) that much other work shared: grids 4 minutes (in bfloat16; several
# times that in float32), the teacher's 7, its soft targets 8, fourteen epochs 48, an epoch of
# fine-tuning 8, each critic 2. Disk: 2.0 GB of grids (4 views of 7,091 photos), and 1.4 GB for the
# teacher (1 view).
# To expect on dev (1,000 photos, words only, beam 8, length power 1.0, 1 view): CIDEr 62.8 before
# fine-tuning, 62.5 (and METEOR 21.9, BLEU-4 24.9) after it, and with the critic 65.2, 22.3, 25.6. The
# shipped weights had a second teacher, the former models/flickr8k.
# Another run gives other weights of like quality.
#
# Wants Flickr8k in Flicker8k_Dataset/ and Flickr_8k_text/ (python features.py --download).
set -euo pipefail
cd "$(dirname "$0")/.."

python features.py --encoder efficientnet-lite2 --precision float32 --grids --views 4 \
    --output models/lite2
python features.py --like models/flickr8k-xception --output models/teacher "$@"
python train.py --data models/lite2 --decoder transformer --epochs 14 --output models/distilled \
    --teacher models/flickr8k-xception --teacher-data models/teacher
python train.py --data models/lite2 --critic models/distilled
python train.py --data models/lite2 --initial models/distilled --finetune cider --epochs 1 \
    --critic-reward 1 --output models/lite2-fine-tuned
python export.py models/lite2-fine-tuned
python train.py --data models/lite2 --critic models/lite2-fine-tuned
python evaluate.py --data models/lite2 --model models/lite2-fine-tuned --length-penalty 1.0
