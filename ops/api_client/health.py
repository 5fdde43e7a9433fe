"""Asking a part of ours over HTTP whether it is well."""

import http.client
import urllib.error
import urllib.request


def answers(url: str, timeout_s: float = 1.0) -> bool:
    """Whether a GET of this http URL answers with 200 in time."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as response:  # noqa: S310 - always our own http URL
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError, http.client.HTTPException):
        return False
