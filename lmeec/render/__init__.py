"""Videos and film strips of predictions over the frames they were made from."""

from lmeec.render.render import RenderSummary, render

__all__ = ["RenderSummary", "render"]
