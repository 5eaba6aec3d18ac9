"""Amazon SageMaker: a model package of the AWS Marketplace, deployed to your own endpoint.

Source: the InvokeEndpoint reference of AWS, and the guide "AWS Marketplace Model Package" in
Voyage's documentation: the body is that of the Voyage API without `model`. Credentials come from
botocore's own chain (environment, profile, SSO, container and instance roles).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from voyage_rag.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidInputError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    ServiceUnavailableError,
)
from voyage_rag.hosts.conversion import parse_strings
from voyage_rag.hosts.failures import ErrorDetail, error_class_of, error_detail
from voyage_rag.hosts.host import Host, redacted
from voyage_rag.hosts.messages import Request, Response

SERVICE = "sagemaker"
ENDPOINT_NAME = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}")
MAX_BODY_BYTES = 6_291_456
"""Maximum size of a request body (reference: InvokeEndpoint, Body)."""

REFRESH_SECONDS = 16 * 60
"""Credentials are refreshed this long before they expire; botocore itself starts 15 minutes before.
"""

CREDENTIALS = (
    "pass session=..., set AWS_PROFILE or AWS_ACCESS_KEY_ID, or attach a role to this machine"
)

ERROR_NAME_FIELD = "__type"

ERRORS = {
    "ThrottlingException": (429, RateLimitError, "send less at once, or scale the endpoint"),
    "Throttling": (429, RateLimitError, "send less at once, or scale the endpoint"),
    "ModelNotReadyException": (503, ServiceUnavailableError, "the endpoint is starting: try later"),
    "ServiceUnavailable": (503, ServiceUnavailableError, None),
    "InternalFailure": (500, ServerError, None),
    "InternalDependencyException": (530, ServerError, None),
    "AccessDeniedException": (403, PermissionDeniedError, "allow sagemaker:InvokeEndpoint"),
    "ExpiredTokenException": (403, AuthenticationError, "the credentials have expired: renew them"),
    "ExpiredToken": (403, AuthenticationError, "the credentials have expired: renew them"),
    "UnrecognizedClientException": (403, AuthenticationError, "check the AWS credentials"),
    "InvalidClientTokenId": (403, AuthenticationError, "check the AWS credentials"),
    "InvalidSignatureException": (403, AuthenticationError, "check the secret key and the clock"),
    "MissingAuthenticationTokenException": (403, AuthenticationError, "check the AWS credentials"),
}
"""The status, exception class and remedy for each error name of AWS."""


class SageMaker(Host):
    """One or several SageMaker endpoints.

    Args:
        endpoint: Name of the endpoint, or a dictionary of endpoint names by model.
        region: The AWS region. Default: that of the session, the profile or the environment.
        session: A `botocore.session.Session` or `boto3.Session`. An object with a session cannot be
            pickled; without one, worker processes find credentials themselves.
        endpoint_url: Overrides the address of the region, for example with that of a VPC endpoint.
        allow_insecure_http: Allow sending signed requests over plain HTTP to another machine.

    Raises:
        ConfigurationError: botocore is not installed, no region is configured, or a name is
            invalid.

    Setup:
        Run `pip install 'voyage-rag[aws]'`, and configure AWS credentials.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.hosts import SageMaker  # doctest: +SKIP
        >>> host = SageMaker("my-voyage-4-endpoint", region="us-east-1")  # doctest: +SKIP
        >>> voyage = Voyage(host=host)  # doctest: +SKIP
    """

    name = "Amazon SageMaker"
    endpoints: ClassVar[frozenset[str] | None] = frozenset(
        {"/embeddings", "/contextualizedembeddings", "/multimodalembeddings", "/rerank"}
    )
    request_bytes: int | None = MAX_BODY_BYTES

    def __init__(
        self,
        endpoint: str | Mapping[str, str],
        *,
        region: str | None = None,
        session: Any = None,
        endpoint_url: str | None = None,
        allow_insecure_http: bool = False,
    ) -> None:
        _import_botocore()
        self._by_model = None if isinstance(endpoint, str) else dict(endpoint)
        self._endpoint = endpoint if isinstance(endpoint, str) else ""
        for name in [endpoint] if isinstance(endpoint, str) else endpoint.values():
            _check_name(name)
        self._session = session
        self._credentials: Any = None
        self.region: str = region or _region_of(session or _new_session())
        super().__init__(
            endpoint_url or _address(self.region), allow_insecure_http=allow_insecure_http
        )

    def require(self, endpoint: str, fields: Mapping[str, Any] | None = None) -> None:
        """Raise an `InvalidInputError` for a model that no endpoint serves."""
        super().require(endpoint, fields)
        if fields and isinstance(model := fields.get("model"), str):
            self._endpoint_of(model)

    def supports(self, field: str) -> bool:
        """Whether a request may contain this field: all but the model."""
        return field != "model"

    def url(self, request: Request) -> str:
        """Return the URL of the endpoint that serves the model."""
        return f"{self.base_url}/endpoints/{self._endpoint_of(request.model)}/invocations"

    @property
    def account(self) -> tuple[str, str]:
        """The endpoint: its capacity does not depend on the caller."""
        return f"{self.hostname}:{self.port}", self._names

    @property
    def cache_scope(self) -> str:
        """The endpoints, because the caller chooses the model's name."""
        return f"{self.hostname}/{self._names}"

    @property
    def is_ready(self) -> bool:
        """Whether there are credentials that need no refresh."""
        found = self._credentials
        needed = getattr(found, "refresh_needed", None)
        return found is not None and not (needed and needed(REFRESH_SECONDS))

    def prepare(self) -> None:
        """Find or refresh credentials, or raise a `ConfigurationError`."""
        exceptions = _import_botocore().exceptions
        try:
            if self._credentials is None:
                self._credentials = (self._session or _new_session()).get_credentials()
            if self._credentials is None:
                raise ConfigurationError(f"no AWS credentials were found: {CREDENTIALS}")
            self._credentials.get_frozen_credentials()
        except (exceptions.BotoCoreError, exceptions.ClientError) as error:
            raise ConfigurationError(f"the AWS credentials cannot be used: {error}") from None

    @property
    def credentials(self) -> str:
        """Describe how botocore found the credentials, and their region."""
        method = getattr(self._credentials, "method", "your session")
        return f"AWS credentials found by {method!r}, for {self.region}"

    def probe(self) -> Request:
        """Return an empty request, which the model rejects."""
        return Request("/embeddings", b"{}", next(iter(self._by_model or {"": ""})), 0)

    def headers(self, method: str, url: str, body: bytes) -> Mapping[str, str]:
        """Return headers with AWS's signature (version 4) for the current time."""
        from botocore.auth import SigV4Auth  # noqa: PLC0415 - of an extra
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415

        if self._credentials is None:
            self.prepare()
        frozen = self._credentials.get_frozen_credentials()
        signed = AWSRequest(method, url, {"content-type": "application/json"}, body)
        SigV4Auth(frozen, SERVICE, self.region).add_auth(signed)
        return {name.lower(): value for name, value in signed.headers.items()}

    def redact(self, data: bytes) -> bytes:
        """Return data without secret key and session token, which AWS repeats in some errors."""
        found = self._credentials
        frozen = found.get_frozen_credentials() if found is not None else None
        for secret in (frozen and frozen.secret_key, frozen and frozen.token):
            data = redacted(data, secret) if secret else data
        return data

    def decode(self, request: Request, document: Any) -> Any:  # noqa: ARG002 - same for all
        """Return the response with numbers, which some packages send as strings."""
        return parse_strings(document)

    def error(self, response: Response) -> ErrorDetail:
        """Parse an error of AWS by its name, or an error of the model by its original status."""
        document = _document(response.body)
        name = _error_name(response, document)
        if name == "ModelError":
            return _model_error(document)
        detail = super().error(response)
        if name == "ValidationError":
            hint = f"check the name of the endpoint, and that its region is {self.region}"
            return replace(detail, remedy=hint if "not found" in detail.message else None)
        if name not in ERRORS:
            return detail
        status, error_class, remedy = ERRORS[name]
        message = f"{name}: {detail.message}" if detail.message else name
        return ErrorDetail(status, message, error_class, remedy)

    @property
    def _names(self) -> str:
        return ",".join(sorted((self._by_model or {"": self._endpoint}).values()))

    def _endpoint_of(self, model: str) -> str:
        if self._by_model is None:
            return self._endpoint
        if model not in self._by_model:
            raise InvalidInputError(
                f"no endpoint serves {model!r}; the endpoints serve "
                f"{', '.join(sorted(self._by_model))}"
            )
        return self._by_model[model]

    def __repr__(self) -> str:
        names = getattr(self, "_by_model", None) or getattr(self, "_endpoint", "")
        return f"SageMaker({names!r}, region={getattr(self, 'region', None)!r})"

    def __getstate__(self) -> dict[str, Any]:
        if self._session is not None:
            raise TypeError(
                "a SageMaker host with its own session cannot be pickled: omit the session; each "
                "process then finds the credentials itself"
            )
        return vars(self) | {"_credentials": None}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SageMaker) and all(
            getattr(self, name) == getattr(other, name)
            for name in ("_by_model", "_endpoint", "_session", "base_url", "region")
        )

    __hash__ = Host.__hash__


def _import_botocore() -> Any:
    try:
        import botocore.exceptions  # noqa: PLC0415 - of an extra
        import botocore.session  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(
            "SageMaker needs botocore: pip install 'voyage-rag[aws]'"
        ) from None
    return botocore


def _new_session() -> Any:
    return _import_botocore().session.Session()


def _region_of(session: Any) -> str:
    if hasattr(session, "region_name"):  # boto3's
        region = session.region_name
    else:
        region = session.get_config_variable("region")
    if not region:
        raise ConfigurationError("no AWS region: pass region=..., or set AWS_DEFAULT_REGION")
    return str(region)


def _address(region: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+", region):
        raise ConfigurationError(f"{region!r} is not an AWS region: expected e.g. 'us-east-1'")
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://runtime.sagemaker.{region}.{domain}"


def _check_name(name: object) -> None:
    if isinstance(name, str) and ENDPOINT_NAME.fullmatch(name):
        return
    hint = ""
    if isinstance(name, str) and ":endpoint/" in name:
        hint = f" (an ARN ends with it: {name.rpartition('/')[2]!r})"
    raise ConfigurationError(
        f"{name!r} is not an endpoint name: up to 63 letters, digits and hyphens{hint}"
    )


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _error_name(response: Response, document: dict[str, Any]) -> str:
    given = response.headers.get("x-amzn-errortype") or document.get(ERROR_NAME_FIELD) or ""
    if not given and "OriginalStatusCode" in document:
        given = "ModelError"
    return str(given).partition(":")[0].rpartition("#")[2].rpartition(".")[2]


def _model_error(document: dict[str, Any]) -> ErrorDetail:
    """Parse the error of the container, which is an error of the Voyage API."""
    status = document.get("OriginalStatusCode")
    status = status if isinstance(status, int) else 500
    original = str(document.get("OriginalMessage") or document.get("Message") or "")
    detail = error_detail(Response(status, {}, original.encode()))
    return replace(detail, error_class=error_class_of(status, detail.message))
