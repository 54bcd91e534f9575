"""Frames in, results out: joins rings, analysis and alerts of a worker's beds.  Pure: time is data."""

from hub.pipeline.analysis import BedResult, Round, run_analysis
from hub.pipeline.outcome import Outcome, StoredSegment
from hub.pipeline.pipeline import Pipeline

__all__ = ["BedResult", "Outcome", "Pipeline", "Round", "StoredSegment", "run_analysis"]
