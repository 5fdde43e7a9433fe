"""The key that our own commands show the API."""

from contracts.settings import Settings


def authorization(settings: Settings) -> dict[str, str]:
    """The header with STOREPULSE_API_KEY, or else with the root key; none where neither is set."""
    key = settings.api_key or settings.root_key
    return {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
