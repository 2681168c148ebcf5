"""`/jobs`: a whole table classified in the background."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response

from gateway.errors import UnknownJobError
from gateway.jobs.desk import JobDesk
from gateway.jobs.request import SOURCE, TABLES, asked_of
from gateway.jobs.result import Wanted, result_response
from gateway.jobs.schemas import Job, JobOptions, Jobs, JobSource
from gateway.keys import owner_of
from gateway.schemas import ErrorBody
from gateway.services import services_of

OFF = "Jobs are off: set JOBS to a folder, and start the gateway again."
SHOWN_TABLES = ("text/csv", "text/tab-separated-values", "application/x-ndjson")
BODY = {
    "required": True,
    "description": "A table with a row for each text: CSV or TSV with a header, or a JSON object a line; in UTF-8, "
    "plain or packed by gzip. Or its address in S3.",
    "content": {
        **{kind: {"schema": {"type": "string"}} for kind in SHOWN_TABLES},
        SOURCE: {"schema": JobSource.model_json_schema()},
    },
}
assert set(SHOWN_TABLES) <= set(TABLES)


def _failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorBody} for status in (401, 404, *statuses)}


job_routes = APIRouter(tags=["jobs"])
Key = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        description="Names this request: sent again with the same one, it is answered with the job that it began.",
    ),
]
JobId = Annotated[str, Path(max_length=64, description="As `POST /jobs` gave it.")]


def _desk(request: Request) -> JobDesk:
    desk: JobDesk | None = services_of(request).jobs
    if desk is None:
        raise UnknownJobError(OFF)
    return desk


@job_routes.post(
    "/jobs",
    status_code=202,
    responses=_failures(400, 409, 413, 415, 422, 507),
    openapi_extra={"requestBody": BODY},
    summary="Classify a table in the background",
)
async def begin_job(
    request: Request, response: Response, options: Annotated[JobOptions, Query()], idempotency_key: Key = None
) -> Job:
    """The table is on the disk when this is answered. Every row is answered as by `/classify`."""
    desk = _desk(request)
    job = await desk.submit(*await asked_of(request, options, idempotency_key))
    response.headers["Location"] = f"/jobs/{job.id}"
    return job


@job_routes.get("/jobs", responses=_failures(422), summary="The jobs there are")
async def list_jobs(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100, description="Most jobs of one answer.")] = 20,
    before: Annotated[str | None, Query(max_length=64, description="Those that are older than this job.")] = None,
) -> Jobs:
    """Newest first; with `API_KEYS` those of the caller's key alone."""
    return await _desk(request).jobs(owner_of(request), limit, before)


@job_routes.get("/jobs/{job_id}", responses=_failures(422), summary="Where a job is")
async def show_job(request: Request, job_id: JobId) -> Job:
    """State, rows, versions; the path of the result once there is one."""
    return await _desk(request).job(job_id, owner_of(request))


@job_routes.get(
    "/jobs/{job_id}/result",
    response_class=Response,
    responses={
        200: {
            "description": "A JSON object a line, in the order of the rows.",
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        },
        206: {
            "description": "The part that the header `Range` asks for.",
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        },
        **_failures(409, 416, 422),
    },
    summary="What a job has answered",
)
async def job_result(
    request: Request,
    job_id: JobId,
    partial: Annotated[bool, Query(description="Also of a job that has not ended: the lines so far.")] = False,
    part: Annotated[
        str | None, Header(alias="Range", description="`bytes=N-` goes on with a download that broke off.")
    ] = None,
    if_range: Annotated[str | None, Header(description="The `ETag` of what was downloaded so far.")] = None,
) -> Response:
    """Each line has `index`, from 0, `row` of the table, `version`, and `answer` or `error`."""
    wanted = Wanted(part or "", if_range)
    return await result_response(_desk(request), job_id, owner_of(request), partial, wanted)


@job_routes.delete(
    "/jobs/{job_id}",
    response_model=None,
    responses={
        202: {"model": Job, "description": "It had not ended: it is cancelled, and keeps the lines that were done."},
        204: {"description": "It had ended: it is deleted, with all that was sent and answered."},
        **_failures(422, 503),
    },
    status_code=202,
    summary="Cancel a job, or delete one that has ended",
)
async def delete_job(request: Request, job_id: JobId) -> Response:
    """The first call cancels a job that is queued or running; a call for one that has ended deletes it."""
    job = await _desk(request).remove(job_id, owner_of(request))
    if job is None:
        return Response(status_code=204)
    return Response(job.model_dump_json(), 202, media_type="application/json")
