"""What `antiphon usage` and `antiphon costs` share: their options, and every page of a range of days."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import msgspec
import typer
from msgspec.structs import replace

from antiphon.cli import administration
from antiphon.cli.administration import PAGE, every, opened_database
from antiphon.cli.output import CommandFailed, ExitCode, err_console

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from antiphon.ledger.buckets import Bucket, Group, Page, Query

T = TypeVar("T")


class By(StrEnum):
    """How long a bucket is."""

    DAY = "day"
    HOUR = "hour"


class GroupBy(StrEnum):
    """What is told apart."""

    PROJECT = "project"
    KEY = "key"
    USER = "user"
    MODEL = "model"


Project = Annotated[str, typer.Option("--project", help="This project alone, by name or id.")]
Model = Annotated[str, typer.Option("--model", help="This snapshot alone, by its dated id.")]
From = Annotated[
    str,
    typer.Option("--from", metavar="DAY", help="The first day, as 2026-11-01; of this month, if not given."),
]
To = Annotated[
    str, typer.Option("--to", metavar="DAY", help="The last day, which counts as well; today, if not given.")
]
Length = Annotated[By, typer.Option("--by", help="A row for each day, or for each hour (UTC).")]
Groups = Annotated[
    list[GroupBy] | None, typer.Option("--group-by", help="What has rows of its own; may be given again.")
]

_HEADINGS = {"project": "Project", "key": "Key", "user": "User", "model": "Model"}
_GROUPS: Mapping[str, Group] = {
    "project": "project_id",
    "key": "api_key_id",
    "user": "user_id",
    "model": "model",
}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The options as they were given."""

    org: str
    project: str
    model: str
    first: str
    last: str
    by: By
    groups: tuple[GroupBy, ...]
    home: str | None


class Report(msgspec.Struct, Generic[T], frozen=True):
    """Buckets in which something was used, and the names of the organization's projects by id."""

    buckets: list[Bucket[T]]
    projects: dict[str, str]


async def read(asked: Asked, ask: Callable[[Connection, Query], Page[T]]) -> Report[T]:
    """Every page of what `ask` says about the days asked for."""
    from antiphon.ledger.buckets import Query

    start, end = _range(asked.first, asked.last)
    async with opened_database(asked.home) as (access, database):
        organization = await access.organizations.find(asked.org)
        projects = await every(
            lambda after: access.projects.list(
                organization.id, after=after, limit=PAGE, include_archived=True
            )
        )
        chosen = [await access.projects.find(organization.id, asked.project)] if asked.project else []
        query = Query(
            organization_id=organization.id,
            start=start,
            end=end,
            width="1d" if asked.by is By.DAY else "1h",
            group_by=tuple(_GROUPS[name] for name in asked.groups),
            project_ids=tuple(project.id for project in chosen),
            models=(asked.model,) if asked.model else (),
        )
        buckets: list[Bucket[T]] = []
        async with database.connect() as connection:
            while True:
                page = await connection.run_sync(ask, query)
                buckets += [bucket for bucket in page.data if bucket.results]
                if page.next_page is None:
                    return Report(buckets, {project.id: project.name for project in projects})
                query = replace(query, page=page.next_page)


def when(start: int, by: By) -> str:
    """The beginning of a bucket, as it is shown."""
    begin = datetime.fromtimestamp(start, UTC)
    return f"{begin:%Y-%m-%d}" if by is By.DAY else f"{begin:%Y-%m-%d %H:%M}"


def group(asked: Asked, report: Report[Any], result: Any) -> dict[str, str | None]:
    """What a result is grouped by, as it is shown."""
    found = {name: getattr(result, _GROUPS[name]) for name in asked.groups}
    if GroupBy.PROJECT in found:
        found[GroupBy.PROJECT] = report.projects.get(found[GroupBy.PROJECT], found[GroupBy.PROJECT])
    return {str(name): value for name, value in found.items()}


def show(
    asked: Asked,
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Print rows in one of three forms; if there are none, say on stderr what to do."""
    grouped = {str(name): _HEADINGS[name] for name in asked.groups}
    headings = {"start": "Day" if asked.by is By.DAY else "Hour", **grouped, **columns}
    if not rows:
        err_console().print(
            f"Nothing was used by '{asked.org}' in these days. A request with one of its keys appears here "
            "soon after its end; --from, --to, --org, --project and --model choose what is shown.",
            highlight=False,
            markup=False,
        )
    if rows or as_json or as_csv:
        administration.show(rows, headings, as_json=as_json, as_csv=as_csv)


def _range(first: str, last: str) -> tuple[int, int]:
    today = datetime.now(UTC).date()
    begin = _day("--from", first) if first else today.replace(day=1)
    end = _day("--to", last) if last else max(today, begin)
    if end < begin:
        raise CommandFailed("--to is before --from", exit_code=ExitCode.USAGE)
    return _midnight(begin), _midnight(end + timedelta(days=1))


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandFailed(
            f"'{text}' is not a day", fix=f"write {option} like 2026-11-01", exit_code=ExitCode.USAGE
        ) from None


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
