"""The simulator: replays recordings or models a patient, and speaks to the broker as a delivery site does."""
