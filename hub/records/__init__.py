"""Recordings as files, one module for each form; whatever the form, the answer is a `Record`."""

from hub.records.read import FORMS, read_record
from hub.records.record import Record

__all__ = ["FORMS", "Record", "read_record"]
