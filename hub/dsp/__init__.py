"""From samples to findings to the classified level, on arrays with beds first and time last; pure."""

from hub.dsp.analyse import ALGORITHM, analyse, analyse_beds
from hub.dsp.classify import classify_findings

__all__ = ["ALGORITHM", "analyse", "analyse_beds", "classify_findings"]
