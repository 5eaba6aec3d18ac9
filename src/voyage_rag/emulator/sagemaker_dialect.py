"""Amazon SageMaker: `POST /endpoints/NAME/invocations`, signed by AWS Signature Version 4.

Sources: "InvokeEndpoint" and "Common Error Types" in the API reference of AWS, and the samples of
the vendor's Marketplace packages. The signature must be well-formed and is not recomputed. Numbers
of vectors are strings, as in some of those samples.
"""

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import numpy as np
import orjson
from starlette.datastructures import Headers
from starlette.requests import Request

from voyage_rag.emulator.arguments import EmulatedEndpoint, RejectedRequest
from voyage_rag.emulator.dialects import MODEL_ENDPOINTS, EmulatedDialect, add_model
from voyage_rag.emulator.faults import ResponseFault
from voyage_rag.emulator.responses import EmulatedResponse, Payload

MAX_BODY_BYTES = 6 * 2**20
"""Maximum size of a request to a real-time endpoint."""

_ACCOUNT = "123456789012"
_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)"
    r"/(?P<service>[a-z0-9-]+)/aws4_request,\s*SignedHeaders=(?P<headers>[a-z0-9;-]+),"
    r"\s*Signature=[0-9a-f]{64}"
)


class AWSError(RejectedRequest):
    """An error of AWS itself, not of the model.

    Attributes:
        error_type: Name of the error, as in the header `x-amzn-ErrorType`.
    """

    def __init__(self, error_type: str, message: str, status: int = 403) -> None:
        super().__init__(status, message)
        self.error_type = error_type


class SageMakerDialect(EmulatedDialect):
    """Endpoints whose names contain the name of a model, such as `my-voyage-4-lite`.

    An access key that contains `invalid` is unknown, one that contains `denied` may not invoke
    endpoints, and a session token that contains `expired` has expired.
    """

    base_path = ""
    has_files = False
    checks_key_first = True
    of_voyage = False

    def paths(self) -> Mapping[str, EmulatedEndpoint | None]:
        """Return the only path."""
        return {"/endpoints/{name}/invocations": None}

    def authenticate(self, headers: Headers) -> str:
        """Return the id of the access key, or raise an `AWSError`."""
        authorization, date = headers.get("authorization"), headers.get("x-amz-date", "")
        if authorization is None:
            raise AWSError("MissingAuthenticationTokenException", "Missing Authentication Token")
        signature = _SIGNATURE.fullmatch(authorization.strip())
        if signature is None:
            message = "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature'."
            raise AWSError("IncompleteSignatureException", message)
        if signature["service"] != "sagemaker":
            message = "Credential should be scoped to correct service: 'sagemaker'."
            raise AWSError("InvalidSignatureException", message)
        if not date.startswith(signature["date"]):
            message = "Date in Credential scope does not match that of the request."
            raise AWSError("InvalidSignatureException", message)
        if not {"host", "x-amz-date"} <= set(signature["headers"].split(";")):
            message = "'host' and 'x-amz-date' must be among the 'SignedHeaders'."
            raise AWSError("InvalidSignatureException", message)
        key, keys = signature["key"], self.options.keys
        if key not in keys if keys is not None else "invalid" in key.lower():
            message = "The security token included in the request is invalid."
            raise AWSError("UnrecognizedClientException", message)
        if "expired" in headers.get("x-amz-security-token", ""):
            message = "The security token included in the request is expired"
            raise AWSError("ExpiredTokenException", message)
        if "denied" in key.lower():
            message = (
                f"User: arn:aws:iam::{_ACCOUNT}:user/{key} is not authorized to perform: "
                "sagemaker:InvokeEndpoint because no identity-based policy allows it"
            )
            raise AWSError("AccessDeniedException", message)
        return key

    def translate(
        self,
        request: Request,
        body: Any,
        endpoint: EmulatedEndpoint | None,  # noqa: ARG002 - as its base
    ) -> tuple[EmulatedEndpoint, Any]:
        """Add the model of the endpoint."""
        name = request.path_params["name"]
        model = self.options.served_model or _model_in(name)
        if model is None:
            message = f"Endpoint {name} of account {_ACCOUNT} not found."
            raise AWSError("ValidationError", message, 400)
        if int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
            raise RejectedRequest(413, "Request Entity Too Large")
        return MODEL_ENDPOINTS[model], add_model(body, model)

    def format(self, payload: Payload, body: Any) -> Payload:
        """Write the numbers of vectors as strings."""
        if body.get("encoding_format") or body.get("output_encoding"):
            return payload
        for item in payload["data"]:
            for embedding in item.get("data", [item]):
                if isinstance(embedding.get("embedding"), np.ndarray):
                    embedding["embedding"] = list(map(str, embedding["embedding"].tolist()))
        return payload

    def respond(
        self, status: int, body: bytes, headers: Mapping[str, str] = {}
    ) -> EmulatedResponse:
        """Return a response with the headers of AWS."""
        own = {"x-amzn-requestid": str(uuid4()), "x-amzn-invoked-production-variant": "AllTraffic"}
        return super().respond(status, body, own | dict(headers))

    def reject(self, rejected: RejectedRequest) -> EmulatedResponse:
        """Return an error of AWS, or one of the model as AWS reports it."""
        if rejected.status == 429:  # noqa: PLR2004
            rejected = AWSError("ThrottlingException", "Rate exceeded", 400)
        if isinstance(rejected, AWSError):
            body = orjson.dumps({"message": str(rejected)})
            return self.respond(rejected.status, body, {"x-amzn-errortype": rejected.error_type})
        original = orjson.dumps(rejected.body).decode()
        body = orjson.dumps(
            {
                "ErrorCode": "CLIENT_ERROR_FROM_MODEL",
                "LogStreamArn": f"arn:aws:logs:us-east-1:{_ACCOUNT}:log-group:/aws/sagemaker",
                "Message": f"Received client error ({rejected.status}) from primary with message "
                f'"{original}". See CloudWatch in account {_ACCOUNT} for more information.',
                "OriginalMessage": original,
                "OriginalStatusCode": rejected.status,
            }
        )
        return self.respond(424, body, {"x-amzn-errortype": "ModelError"})


def _model_in(endpoint_name: str) -> str | None:
    """Return the longest model name in an endpoint's name, which contains `-` for each dot."""
    found = [name for name in MODEL_ENDPOINTS if name.replace(".", "-") in endpoint_name]
    return max(found, key=len, default=None)


def aws_fault(error_type: str, message: str, status: int = 400) -> ResponseFault:
    """Return a fault that responds with an error of AWS, such as a ThrottlingException."""
    body = orjson.dumps({"message": message})
    return ResponseFault(status, body, headers=(("x-amzn-errortype", error_type),))
