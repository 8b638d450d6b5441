import shutil

import pytest


@pytest.fixture
def dot():
    if shutil.which("dot") is None:
        pytest.skip("needs the program dot of Graphviz")
