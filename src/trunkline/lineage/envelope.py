"""Signed statements: DSSE envelopes with Ed25519.

    {"payloadType": "application/vnd.in-toto+json", "payload": "<base64>",
     "signatures": [{"keyid": "<sha256 of the public key's DER, in hex>", "sig": "<base64>"}]}

What is signed is the type and the payload together, with their lengths (DSSE's PAE). `cryptography` is
imported when a key is needed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trunkline.errors import CorruptData, StoreError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PAYLOAD = "application/vnd.in-toto+json"


def pae(kind: str, body: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the bytes that are signed."""
    name = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(body), body)


def sign(statement: Mapping[str, Any], key_file: str) -> dict[str, Any]:
    """The statement in an envelope, signed with the Ed25519 private key in this PEM file. Raises UsageError."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = serialization.load_pem_private_key(_read(key_file), None)
    except (ValueError, TypeError) as error:
        raise UsageError(
            "this is not an unencrypted private key in PEM form", where=key_file, hint=_MAKE
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("this is not an Ed25519 key", where=key_file, hint=_MAKE)
    body = json.dumps(statement, indent=1, sort_keys=True, default=str).encode()
    signature = {"keyid": _key_id(key.public_key()), "sig": _b64(key.sign(pae(PAYLOAD, body)))}
    return {"payloadType": PAYLOAD, "payload": _b64(body), "signatures": [signature]}


def opened(envelope: object, key_file: str, where: str) -> dict[str, Any] | None:
    """The statement in an envelope; None where no signature of it is by this public key.

    Raises UsageError for a key, CorruptData for an envelope that is none.
    """
    from cryptography.exceptions import InvalidSignature

    key = _public_key(key_file)
    kind, body, signatures = _parts(envelope, where)
    for signature in signatures:
        try:
            key.verify(signature, pae(kind, body))
        except InvalidSignature:
            continue
        return _statement(kind, body, where)
    return None


def _public_key(key_file: str) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = serialization.load_pem_public_key(_read(key_file))
    except ValueError as error:
        raise UsageError("this is not a public key in PEM form", where=key_file, hint=_PUBLIC) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("this is not an Ed25519 key", where=key_file, hint=_MAKE)
    return key


def _parts(envelope: object, where: str) -> tuple[str, bytes, list[bytes]]:
    if isinstance(envelope, dict) and "_type" in envelope:
        raise CorruptData(
            "this statement is not signed",
            where=where,
            hint="`trunkline export … --format in-toto --sign KEY.pem` signs one",
        )
    if not isinstance(envelope, dict):
        raise CorruptData("this is not a DSSE envelope", where=where)
    try:
        kind, payload = str(envelope["payloadType"]), base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(each["sig"], validate=True) for each in envelope["signatures"]]
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptData("this is not a DSSE envelope", where=where) from error
    return kind, payload, signatures


def _statement(kind: str, body: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
        if kind == PAYLOAD and isinstance(found, dict) and isinstance(found["subject"], list):
            return found
    except (ValueError, KeyError):
        pass
    raise CorruptData("what is signed here is not an in-toto statement", where=where)


def _key_id(key: Ed25519PublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", where=path) from error


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


_MAKE = "`openssl genpkey -algorithm ed25519 -out KEY.pem` makes one"
_PUBLIC = "`openssl pkey -in KEY.pem -pubout -out PUBLIC.pem` writes it"
