"""The stages of the measured projects, copied into them."""
