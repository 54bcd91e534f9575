"""Faults on purpose: real parts on one machine, killed, frozen, cut off, filled up; nothing may be lost."""
