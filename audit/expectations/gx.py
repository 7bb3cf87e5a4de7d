"""Great Expectations, imported in one place: analytics off, and the install line where it is missing.

The other files of this room take everything of Great Expectations from here. Its hooks for expectations of one's own
are public code without a page of documentation, so what is used of them stands together, and a test holds it.
"""

from __future__ import annotations

import os

from ...data.errors import InputError

# Read when a context is made. Releases from 1.7 on send nothing at all; who has an older one is not surprised either.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

try:
    import great_expectations
    from great_expectations.compatibility import pydantic
    from great_expectations.core.metric_domain_types import MetricDomainTypes
    from great_expectations.core.metric_function_types import MetricPartialFunctionTypes
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.expectations.expectation import BatchExpectation, ColumnMapExpectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metrics.map_metric_provider import ColumnMapMetricProvider
    from great_expectations.expectations.metrics.metric_provider import metric_partial, metric_value
    from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
    from great_expectations.render import (
        LegacyDiagnosticRendererType,
        LegacyRendererType,
        RenderedStringTemplateContent,
    )
    from great_expectations.render.renderer.renderer import renderer
    from great_expectations.validator.metric_configuration import MetricConfiguration
except ImportError as error:
    raise InputError(
        f"evenset.audit.expectations needs Great Expectations, which cannot be imported ({error}). "
        'Install it with: pip install "evenset[gx]"'
    ) from error

VERSION: str = great_expectations.__version__

__all__ = [
    "VERSION",
    "BatchExpectation",
    "ColumnMapExpectation",
    "ColumnMapMetricProvider",
    "ExpectationConfiguration",
    "LegacyDiagnosticRendererType",
    "LegacyRendererType",
    "MetricConfiguration",
    "MetricDomainTypes",
    "MetricPartialFunctionTypes",
    "PandasExecutionEngine",
    "RenderedStringTemplateContent",
    "TableMetricProvider",
    "great_expectations",
    "metric_partial",
    "metric_value",
    "pydantic",
    "renderer",
]
