"""Helpers of several test files: `from tests.support.NAME import ...`; fixtures are in each folder's `conftest.py`."""
