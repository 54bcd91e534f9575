"""From broker messages to samples on one clock, with gaps marked."""
