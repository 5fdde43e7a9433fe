"""HTTP without TLS: httpx reads all certificate authorities for each call otherwise, for 20 ms of a core."""

import ssl

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""To be given as `verify` by what asks again and again."""
