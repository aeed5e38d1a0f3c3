"""Training: cross-entropy, distillation, self-critical fine-tuning, checkpoints."""
