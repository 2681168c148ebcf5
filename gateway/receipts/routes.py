"""Where do callers get the key by which receipts are checked?"""

from fastapi import APIRouter, HTTPException, Request

from gateway.schemas import ErrorBody, ReceiptKey
from gateway.services import service_of

receipt_routes = APIRouter(tags=["state"])

NO_KEY = "This gateway signs no receipts: RECEIPT_KEY names no key"


@receipt_routes.get(
    "/receipts/key",
    responses={status: {"model": ErrorBody} for status in (401, 404)},
    summary="The public key of receipts",
)
async def receipt_key(request: Request) -> ReceiptKey:
    """The key that receipts of this gateway are checked with, as a JSON Web Key (RFC 8037).

    Keep it from a source that you trust, not from the one that shows you a receipt.
    """
    receipts = service_of(request).receipts
    if receipts is None:
        raise HTTPException(404, NO_KEY)
    return ReceiptKey(**receipts.key.public)
