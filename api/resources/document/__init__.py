"""The OpenAPI document itself."""
