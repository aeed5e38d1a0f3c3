"""The demo's world: rendered scenes with captions, and the small encoder trained on them."""
