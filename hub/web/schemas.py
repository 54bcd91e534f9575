"""Shapes of the answers, for OpenAPI; the answers themselves are encoded by `hub.wire`."""

from typing import Any

from pydantic import BaseModel

from hub.model import Alert, BedAnalysis, BedEvent, BedView, SiteView
from hub.web import examples
from hub.web.backend import Dependency, StageProgress
from hub.web.problems import KINDS, MEDIA_TYPE, Fault, problem_body


class Problem(BaseModel):
    """Problem details of RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[Fault] | None = None


class BedList(BaseModel):
    """Every bed in the caller's scope."""

    t_ms: int
    beds: list[BedView]


class SiteList(BaseModel):
    """Every site in the caller's scope."""

    t_ms: int
    sites: list[SiteView]


class MinMax(BaseModel):
    """Least and greatest value of each step; null where nothing was readable."""

    min: list[float | None]
    max: list[float | None]


class LateSpan(BaseModel):
    """A span that was filled in afterwards, and when its last part arrived."""

    from_ms: int
    to_ms: int
    arrived_ms: int


class Strip(BaseModel):
    """One bed over one span; only channels that occur are present."""

    site: str
    bed: str
    from_ms: int
    to_ms: int
    period_ms: int
    channels: dict[str, list[float | None] | MinMax]
    late: list[LateSpan]
    events: list[BedEvent]
    analysis: BedAnalysis | None
    alerts: list[Alert]


class AlertList(BaseModel):
    """Alerts, newest first."""

    alerts: list[Alert]


class Alive(BaseModel):
    """The event loop turns."""

    status: str
    boot_id: str
    t_ms: int


class Ready(BaseModel):
    """Everything the hub depends on."""

    is_ready: bool
    dependencies: dict[str, Dependency]


class Progress(BaseModel):
    """How old the last item of each stage is."""

    boot_id: str
    t_ms: int
    stages: dict[str, StageProgress]


def described(
    model: type, description: str, *problems: int, also: dict[str, Any] | None = None
) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of a route: the good one, its other media types, and its problems."""
    answers: dict[int | str, dict[str, Any]] = {
        200: {"model": model, "description": description, "content": also or {}}
    }
    for status in (*problems, 421, 500):
        kind = next(kind for kind, (of_kind, _) in KINDS.items() if of_kind == status)
        body = problem_body(kind, "what was expected, where, and what came", "/the/path/asked/for")
        answers[status] = {
            "description": KINDS[kind][1],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": body}},
        }
    return answers


def finish_document(document: dict[str, Any]) -> dict[str, Any]:
    """Add to an OpenAPI document the schema of problem details and the examples.

    The examples come last because the generator strips every null from what it is given.
    """
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components = document.setdefault("components", {}).setdefault("schemas", {})
    components.update(problem.pop("$defs", {}))
    components["Problem"] = problem
    for path, example in examples.ANSWERS.items():
        for operation in document["paths"][path].values():
            operation["responses"]["200"]["content"]["application/json"]["example"] = example
    return document
