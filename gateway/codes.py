"""Every ``error.code`` that a client may meet, and what it says: a closed list, for programs to compare with. Pure."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CODES", "KINDS"]

_ACCESS = "the gateway's own access to AWS is broken; nothing that a client can mend"
_ENDED = "how the last of the calls ended, after which nobody else could be asked"
_CALLS = (
    "provider_error", "throttled", "quota", "model_not_ready", "unavailable", "internal", "no_capacity",
    "overloaded", "attempt_timeout", "model_timeout", "connection_failed", "connection_broken", "connect_timeout",
    "dns", "tls", "ca_bundle", "proxy", "bad_response", "model_error", "model_retired", "retired", "end_of_life",
    "legacy_inactive", "credentials_timeout", "sts_unreachable", "sts_unavailable", "sts_throttled", "storage_throttled",
    "storage_refused", "storage_unreachable",
)  # fmt: skip
_KEYS = (
    "credentials", "no_credentials", "incomplete_credentials", "expired", "unknown_key", "access_denied",
    "signature", "bearer_over_http", "sts_denied", "model_unavailable", "model_access", "model_identifier",
    "marketplace", "on_demand_not_offered", "operation_not_allowed", "endpoint",
)  # fmt: skip

CODES: Mapping[str, str] = {
    "invalid_request": "a parameter is wrong, unknown, or more than any model can do; param names it",
    "invalid_body": "the body is no JSON, no form, or was cut off",
    "bad_http": "what came is no HTTP request",
    "content_policy_violation": "a content filter kept the prompt or the pictures back",
    "rejected_by_provider": "the model refused the request",
    "invalid_parameter": "the model refused one of the parameters",
    "invalid_api_key": "no key, or one that is not valid",
    "model_not_allowed": "the key may not use this alias",
    "admin_only": "this needs an admin key",
    "unknown_price": "nobody knows the price, and the key has a limit in dollars",
    "origin_not_allowed": "web pages of this origin may not ask, or not in this way",
    "host_not_allowed": "a gateway without keys answers to localhost, to addresses and to the names in server.hosts only",
    "model_not_found": "no alias, deployment or pattern has this name, or AWS has retired the model",
    "not_found": "there is nothing at this address",
    "method_not_allowed": "this address is asked with another method; Allow says which",
    "request_timeout": "the body did not come in time",
    "request_too_large": "the body is larger than the gateway takes",
    "rate_limit_exceeded": "too many at a time or in a minute: of all, or of this key; Retry-After says when to ask again",
    "insufficient_quota": "the key's dollars of the day or of the month do not suffice",
    "limits_unavailable": "the counts of this key can not be read or written now",
    "spend_unavailable": "the accounts can not be read or written now",
    "deadline_exceeded": "the deadline of the request is over",
    "no_deployment_available": "nobody can be asked now",
    "attempts_failed": "everybody who was asked failed",
    "gateway_stopped": "the gateway was stopped, or the process of it that may have the call is silent",
    "client_left": "the client had gone, and nothing was sent to anybody: of use in logs only",
    "internal_error": "the gateway failed; its log says why",
    **dict.fromkeys(_CALLS, _ENDED),
    **dict.fromkeys(_KEYS, _ACCESS),
    **dict.fromkeys(("error", "config", "refused"), "the gateway failed in a way that has no name of its own"),
}

KINDS: Mapping[str, str] = {
    "invalid_request_error": "the request has to be another one",
    "authentication_error": "nobody knows who asks",
    "permission_error": "whoever asks may not",
    "rate_limit_error": "too much at once for the gateway or for AWS",
    "requests": "too many requests of this key",
    "insufficient_quota": "the key is out of money",
    "server_error": "not the client's fault",
}
"""Every ``error.type``."""
