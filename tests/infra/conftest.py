import pytest

from tests.infra.desk import Desk


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)
