"""Batches, losses, the loop, checkpoints, self-critical fine-tuning, distillation."""
