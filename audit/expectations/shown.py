"""How expectations of ours are shown in the data docs."""

from __future__ import annotations

from typing import Any

from .gx import (
    LegacyDiagnosticRendererType,
    LegacyRendererType,
    RenderedStringTemplateContent,
    renderer,
)
from .words import observed


class Shown:
    """Renderers of an expectation with a `sentence` whose results hold `findings`."""

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)  # type: ignore[untyped-decorator]
    def _prescriptive_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: dict[str, Any] | None = None
    ) -> list[Any]:
        known = configuration if configuration is not None else getattr(result, "expectation_config", None)
        text = "--" if known is None else str(known.to_domain_obj().sentence)
        return [_piece(text, runtime_configuration)]

    @classmethod
    def _prescriptive_template(cls, renderer_configuration: Any) -> Any:
        """The same for what shows expectations elsewhere than on a page."""
        known = renderer_configuration.configuration
        renderer_configuration.template_str = "--" if known is None else str(known.to_domain_obj().sentence)
        return renderer_configuration

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.OBSERVED_VALUE)  # type: ignore[untyped-decorator]
    def _diagnostic_observed_value_renderer(
        cls,
        configuration: Any = None,  # noqa: ARG003 - given by name
        result: Any = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> Any:
        text = observed((None if result is None else result.result) or {})
        return _piece(text or "--", runtime_configuration)


def _piece(text: str, runtime_configuration: dict[str, Any] | None) -> Any:
    """A piece of a page; the text is markup already."""
    styling = (runtime_configuration or {}).get("styling") or {}
    return RenderedStringTemplateContent(
        content_block_type="string_template", string_template={"template": text, "params": {}}, styling=styling
    )
