"""The least that FastAPI can do: one route that returns a constant. What the gateway's own work is held against."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/classify")
async def classify() -> list[dict[str, str | float]]:
    """Always the same."""
    return [{"label": "Education", "score": 0.9705229997634888}]
