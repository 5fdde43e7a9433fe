"""What the document at /openapi.json says beyond what FastAPI finds out."""
