"""What errors of object stores mean for people: what is wrong, and what to do.

What belongs here: reading botocore's and obstore's errors. What does not: anything that connects.
"""

from cinestream_platform.lake.store import ObjectStore

_CREDENTIALS = "Check CINESTREAM_S3_ACCESS_KEY_ID and CINESTREAM_S3_SECRET_ACCESS_KEY (unset = boto3's own chain)."
_ENDPOINT = "Is the server up, and is CINESTREAM_S3_ENDPOINT_URL right (http or https, host, port)?"
_REGION = "Set CINESTREAM_S3_REGION to the bucket's region."

# Codes of S3's error documents; HEAD requests have no document, so that botocore reports the status instead.
_BY_CODE = {
    "NoSuchBucket": ("the bucket does not exist", "Create it, or correct {setting}."),
    "404": ("the bucket does not exist", "Create it, or correct {setting}."),
    "InvalidBucketName": ("the bucket's name is not valid", "Correct {setting}."),
    "AccessDenied": ("access is denied", "Allow this key to list, read and write the bucket. " + _CREDENTIALS),
    "403": ("access is denied", "Allow this key to list, read and write the bucket. " + _CREDENTIALS),
    "InvalidAccessKeyId": ("the access key is unknown", _CREDENTIALS),
    "SignatureDoesNotMatch": ("the secret key is wrong", _CREDENTIALS),
    "ExpiredToken": ("the credentials have expired", "Get new ones; " + _CREDENTIALS),
    "InvalidToken": ("the session token is not valid", _CREDENTIALS),
    "AuthorizationHeaderMalformed": ("the region is wrong", _REGION),
    "PermanentRedirect": ("the bucket is in another region", _REGION),
    "IllegalLocationConstraintException": ("the bucket is in another region", _REGION),
    "RequestTimeTooSkewed": ("this machine's clock is wrong", "Set the clock (NTP)."),
}


def is_store_error(error: BaseException) -> bool:
    """Whether an error comes from an object store and not from our own code."""
    return type(error).__module__.partition(".")[0] in ("botocore", "obstore")


def explain(
    error: BaseException, url: str = "the object store", setting: str = "CINESTREAM_LANDING_URL"
) -> tuple[str, str]:
    """What is wrong and what to do, in one line each, for an error while the store at ``url`` was used.

    ``setting`` is the environment variable that names the store. Neither text holds a secret.
    """
    problem, remedy = _explained(error)
    return f"{url}: {problem}", remedy.format(setting=setting)


def _explained(error: BaseException) -> tuple[str, str]:
    name, text = type(error).__name__, " ".join(str(error).split())[:300]
    response = getattr(error, "response", None)
    code = str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
    if code in _BY_CODE:
        return _BY_CODE[code]
    if name in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"):
        return "there are no credentials", _CREDENTIALS
    if name in ("PermissionDeniedError", "UnauthenticatedError", "PermissionError"):
        return "access is denied", "Allow this user to list, read and write there. " + _CREDENTIALS
    if "Connect" in name or "Endpoint" in name or name in ("SSLError", "ReadTimeoutError", "HTTPClientError"):
        return f"the server does not answer ({text})", _ENDPOINT
    for known, (problem, remedy) in _BY_CODE.items():
        if not known.isdigit() and known in text:
            return problem, remedy
    return f"{name}: {text}", "See cinestream doctor."


def location_of(store: ObjectStore) -> str:
    """The store's address for people."""
    return str(store.folder) if store.is_folder else store.url
