"""The table of regrets as a picture: one row for each chooser, one column for each regime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

Table = Mapping[str, Mapping[str, float]]  # chooser -> regime -> regret per 1,000 requests


def draw(tables: Mapping[str, Table], path: Path) -> None:
    """Save one panel for each table (its name is the title); the ending of `path` says in which format."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "routing"
    from matplotlib import pyplot
    from matplotlib.colors import LogNorm

    figure, panels = pyplot.subplots(len(tables), 1, figsize=(9, 2.9 * len(tables)), squeeze=False)
    for (title, table), panel in zip(tables.items(), panels[:, 0], strict=True):
        choosers, regimes = list(table), list(next(iter(table.values())))
        values = [[max(table[chooser][regime], 0.05) for regime in regimes] for chooser in choosers]
        panel.imshow(values, norm=LogNorm(0.3, 200), cmap="RdYlGn_r", aspect="auto")
        panel.set_xticks(range(len(regimes)), regimes)
        panel.set_yticks(range(len(choosers)), choosers)
        panel.set_title(title, loc="left", fontsize=10)
        panel.tick_params(length=0)
        for row, chooser in enumerate(choosers):
            for column, regime in enumerate(regimes):
                figure_text = f"{table[chooser][regime]:.1f}"
                panel.text(column, row, figure_text, ha="center", va="center", fontsize=8)
    figure.suptitle("Regret per 1,000 requests, by regime (less is better)", x=0.02, ha="left", fontsize=11)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
