"""Each kustomization in deploy/, built."""

import pytest

from tests.kustomize import BUILDS, Manifest, build


@pytest.fixture(params=BUILDS)
def objects(request: pytest.FixtureRequest) -> list[Manifest]:
    folder, components = BUILDS[request.param]
    return build(folder, {"components": components})
