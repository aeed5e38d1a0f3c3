#!/usr/bin/env bash
# models/flickr8k-tuned: EfficientNet-Lite2 trained along with the transformer on its grids.
#
# Time: on one GPU (H200, KERAS_BACKEND=jax and the same steps as a script) 45 s for the decoder on the
# frozen encoder and 35 s for eight epochs of both; on 2 cores (Intel Xeon, AMX) that other work shared:
# grids 10 minutes in bfloat16, each critic 3, each fine-tuning on CIDEr 15 to 38 (10 on idle cores).
# An epoch of encoder and decoder takes 17 minutes there.
# Disk: 2.0 GB of grids, twice.
# To expect on dev (1,000 photos, words only, beam 8, length power 1.0, 1 view): CIDEr 61.8 before
# fine-tuning on CIDEr. Another run gives other weights of like quality.
#
# Wants Flickr8k in Flicker8k_Dataset/ and Flickr_8k_text/ (python features.py --download).
set -euo pipefail
cd "$(dirname "$0")/.."

python features.py --encoder efficientnet-lite2 --grids --views 4 --output models/lite2
python train.py --data models/lite2 --decoder transformer --output models/frozen
python train.py --data models/lite2 --initial models/frozen --finetune encoder \
    --photos Flicker8k_Dataset --output models/tuned
python features.py --like models/tuned --views 4 --output models/tuned-data
python train.py --data models/tuned-data --critic models/tuned
python train.py --data models/tuned-data --initial models/tuned --finetune cider --epochs 2 \
    --critic-reward 1 --output models/tuned-once
python train.py --data models/tuned-data --initial models/tuned-once --finetune cider --epochs 2 \
    --critic-reward 1 --output models/flickr8k-tuned
python export.py models/flickr8k-tuned
python train.py --data models/tuned-data --critic models/flickr8k-tuned
python evaluate.py --data models/tuned-data --model models/flickr8k-tuned --length-penalty 1.0
