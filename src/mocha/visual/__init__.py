"""Pictures of nets and of trainings, of plain data. matplotlib is imported when something is drawn."""

from mocha.visual.net_picture import LayerBox, NetPicture, Role, net_dot
from mocha.visual.plot import plot_statistics
from mocha.visual.ranking import Ranking, ranking_picture
from mocha.visual.report import Mistake, report_picture
from mocha.visual.sheet import blob_sheet, filter_sheet, save_image, sheet
from mocha.visual.statistics import Statistics

__all__ = [
    "LayerBox", "Mistake", "NetPicture", "Ranking", "Role", "Statistics", "blob_sheet", "filter_sheet", "net_dot",
    "plot_statistics", "ranking_picture", "report_picture", "save_image", "sheet",
]  # fmt: skip
