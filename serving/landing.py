"""Images brought into the landing folders: from there the loop takes them in.

The file system is asked in threads of its own, so that a slow HDFS holds up no prediction; images
are opened where predictions are made, and wait their turn there.
"""

import asyncio
import errno
import logging
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from pipelines.data.folders import landing_location, open_folder
from pipelines.data.land.uploads import Checked, Delivery, Outcome, check
from pipelines.errors import BadImage, LabelError, LandingError, SpecError, StoreUnavailable
from pipelines.failures import only_this_image
from pipelines.settings import get_settings
from pipelines.spec import DatasetSpec, load_spec, spec_names
from serving.access.permissions import UPLOAD, GuardedRoute
from serving.context import Problem
from serving.image_request import ImageRequest, as_json, receive
from serving.metrics import count_refusal, count_upload
from serving.openapi import LANDING_REFUSALS, form, refusals
from serving.records import Uploaded
from serving.schemas import (
    LandingDataset,
    LandingFields,
    LandingItem,
    LandingLabel,
    LandingReply,
    UploadReply,
)

logger = logging.getLogger(__name__)

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


router = APIRouter(route_class=GuardedRoute, dependencies=[UPLOAD])


@router.get("/landing", response_model=LandingReply, responses=refusals())
async def landing_folders() -> Response:
    """The data sets whose landing folders take images, and the labels they may have."""
    return as_json(LandingReply(datasets=await asyncio.to_thread(_datasets)))


@router.post(
    "/landing/{dataset}",
    response_model=UploadReply,
    responses=refusals(LANDING_REFUSALS),
    openapi_extra=form(LandingFields, several=True),
)
async def land(
    request: Request, dataset: str, fields: Annotated[LandingFields, Query()]
) -> Response:
    """Bring images into a data set's landing folder; one that is refused does not spoil the
    others."""
    spec = await asyncio.to_thread(_spec, dataset)
    received = await receive(request, fields)
    label, upload = received.fields.label, received.upload
    delivery = await asyncio.to_thread(_delivery, spec, label)
    items = []
    for name, data in zip(upload.names, upload.images, strict=True):
        outcome, sha256 = await _land_one(received, spec, delivery, name, data)
        count_upload(spec.name, outcome.status)
        received.backend.note_upload(
            Uploaded(
                received.context,
                received.route,
                dataset=spec.name,
                label=label,
                folder=delivery.folder,
                sha256=sha256,
                bytes=len(data),
                outcome=outcome,
            )
        )
        items.append(
            LandingItem(
                file=name or None,
                status=outcome.status,
                code=outcome.code,
                message=outcome.message,
                sha256=sha256,
            )
        )
    return as_json(
        UploadReply(
            dataset=spec.name,
            folder=delivery.folder,
            results=items,
            accepted=sum(item.status == "accepted" for item in items),
            then=_then(spec, label),
            request_id=received.context.request_id,
        )
    )


async def _land_one(
    received: ImageRequest[LandingFields],
    spec: DatasetSpec,
    delivery: Delivery,
    name: str,
    data: bytes,
) -> tuple[Outcome, str | None]:
    def opened() -> Checked | BadImage:
        try:
            with only_this_image(logger, f"request {received.context.request_id}, one image"):
                return check(spec, data)
        except BadImage as error:
            return error

    image = await received.work(opened)
    if isinstance(image, BadImage):
        count_refusal(image.reason)
        return Outcome("refused", image.reason, str(image)), None
    return await asyncio.to_thread(_add, delivery, name, image), image.sha256


def _add(delivery: Delivery, name: str, image: Checked) -> Outcome:
    try:
        return delivery.add(name, image)
    except (LandingError, StoreUnavailable) as error:
        raise _unavailable(error) from error
    except OSError as error:
        logger.error("%s cannot be written: %s", delivery.location, error)
        if error.errno in NO_SPACE:
            message = "The disk of the landing folder is full; files listed before are written."
            raise Problem(507, "disk_full", message) from error
        message = f"The landing folder cannot be written ({error.strerror}); see the service's log."
        raise Problem(503, "landing_unwritable", message) from error


def _spec(dataset: str) -> DatasetSpec:
    """The spec of a data set; raises Problem."""
    names = spec_names()
    if dataset not in names:
        message = f"There is no data set {dataset!r}; there are {', '.join(names)}."
        raise Problem(404, "unknown_dataset", message)
    try:
        return load_spec(dataset)
    except SpecError as error:
        logger.error("No image can be brought to %s: %s", dataset, error)
        message = f"The file of the data set {dataset} is invalid; see medloop status."
        raise Problem(503, "invalid_dataset", message) from error


def _delivery(spec: DatasetSpec, label: str | None) -> Delivery:
    settings = get_settings()
    try:
        return Delivery(spec, open_folder(settings, landing_location(spec, settings)), label)
    except LabelError as error:
        raise Problem(422, "unknown_label", str(error)) from error
    except (LandingError, StoreUnavailable) as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> Problem:
    logger.error("A landing folder cannot be used: %s", error)
    message = "The landing folder cannot be used now; the service's log says why. Try again later."
    return Problem(503, "landing_unavailable", message)


def _then(spec: DatasetSpec, label: str | None) -> str:
    """What becomes of the images next."""
    if label is None:
        return (
            "They wait, unlabelled, and train no model: move each into the folder of its class, or "
            "send it again with a label."
        )
    if spec.landing.marker:
        return f"They are taken in when {spec.landing.marker} is written in the landing folder."
    return "They are taken in when the landing folder has been quiet for a while."


def _datasets() -> list[LandingDataset]:
    found = []
    for name in spec_names():
        try:
            spec = load_spec(name)
        except SpecError:  # medloop status tells; it is no reason to hide the others
            continue
        labels = () if spec.landing.table else spec.classes
        found.append(
            LandingDataset(
                dataset=spec.name,
                title=spec.title,
                labels=[LandingLabel(label=c.name, title=c.title) for c in labels],
                labels_from=" or ".join(spec.landing.table.files) if spec.landing.table else None,
            )
        )
    return found
