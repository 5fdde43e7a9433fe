"""What TLS needs: whom we believe, and who we are."""

import ssl


class CertificateError(ValueError):
    """A file of certificates cannot be used; the message names the setting."""


def make_context(service: str, *, ca: str, certificate: str, key: str) -> ssl.SSLContext:
    """A context that checks the server's certificate and name; raises `CertificateError`.

    Empty paths: the CAs that the system knows, no certificate of ours. Settings begin with `service`.
    """
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except OSError as exc:  # `ssl.SSLError` is one
        raise CertificateError(f"{service}_ca contains no usable PEM certificates: {_reason(exc)}") from None
    if certificate:
        try:
            context.load_cert_chain(certificate, key or None, password=_refuse_to_ask)
        except (OSError, ValueError) as exc:
            raise CertificateError(
                f"{service}_certificate and {service}_key are not a usable PEM certificate and its key:"
                f" {_reason(exc)}"
            ) from None
    return context


def _reason(exc: Exception) -> str:
    return str(getattr(exc, "reason", None) or getattr(exc, "strerror", None) or exc)


def _refuse_to_ask() -> str:
    """In place of the question for a password at the terminal, which no service can answer."""
    raise ValueError("the key is encrypted")
