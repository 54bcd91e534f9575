"""Files of classification cases: run every case of a document and say where it differs."""

from collections.abc import Mapping
from typing import Any

from hub.dsp.classify import classify_findings


def classify_cases(document: Mapping[str, Any]) -> dict[str, Any]:
    """Classify every case of a document in the form of the golden cases.

    Parameters
    ----------
    document : mapping
        With a list `cases`; each case has `input`, and may have `id` and `expected`.

    Returns
    -------
    dict
        The document with `result` and `mismatches` added to each case.  A mismatch
        has `field`, `expected` and `got`.  An expectation of None for `figo2015` or
        `nichd2008` is not asserted, and either of two equally bad cells is accepted.
        A case that cannot be read has `result` None and `error`.

    Raises
    ------
    ValueError
        If the document has no list of cases; the message says what came.

    Examples
    --------
    >>> case = {
    ...     "input": {"baseline_bpm": 140, "variability_amplitude_bpm": 12, "decelerations": []},
    ...     "expected": {"jsog": {"level": 1}},
    ... }
    >>> classify_cases({"cases": [case]})["cases"][0]["mismatches"]
    []
    """
    cases = document.get("cases") if isinstance(document, Mapping) else None
    if not isinstance(cases, list) or not all(isinstance(case, Mapping) for case in cases):
        msg = f"cases: expected a list of objects with input, got {cases!r:.80}"
        raise ValueError(msg)
    return {**document, "cases": [_classify_case(case) for case in cases]}


def _classify_case(case: Mapping[str, Any]) -> dict[str, Any]:
    expected = case.get("expected")
    try:
        result = classify_findings(case.get("input", {}))
    except ValueError as error:
        came = {"field": "input", "expected": "findings that can be read", "got": str(error)}
        return {**case, "result": None, "error": str(error), "mismatches": [came]}
    if not isinstance(expected, Mapping):
        return {**case, "result": result, "mismatches": []}
    mismatches = [
        *_compare_jsog(result["jsog"], expected.get("jsog") or {}, case["input"]),
        *(
            {"field": name, "expected": expected[name], "got": result[name]}
            for name in ("figo2015", "nichd2008")
            if expected.get(name) is not None and expected[name] != result[name]
        ),
    ]
    return {**case, "result": result, "mismatches": mismatches}


def _compare_jsog(
    result: Mapping[str, Any], expected: object, findings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    if not isinstance(expected, Mapping):
        return [{"field": "jsog", "expected": expected, "got": dict(result)}]
    wrong = [name for name in expected if expected[name] != result.get(name)]
    of_cell = {"cell", "deceleration_class", "na_fallback"}
    if wrong and set(wrong) <= of_cell and any(_holds(expected, tie) for tie in _ties(result, findings)):
        return []
    return [{"field": f"jsog.{name}", "expected": expected[name], "got": result.get(name)} for name in wrong]


def _ties(result: Mapping[str, Any], findings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give the readings of each deceleration alone that are as bad as all together."""
    alone = [
        classify_findings({**findings, "decelerations": [entry]})["jsog"]
        for entry in findings["decelerations"]
    ]
    return [reading for reading in alone if reading["level"] == result["level"]]


def _holds(expected: Mapping[str, Any], reading: Mapping[str, Any]) -> bool:
    return all(reading.get(name) == value for name, value in expected.items())
