"""The desktop console: every bed of the region on one wall, each with its age, none of them ever guessed.

`link` brings what the hub sends from its own thread; `rings`, `state`, `face` and
`strip` are pure and say what may be shown at a given time; the other modules draw it.
"""
