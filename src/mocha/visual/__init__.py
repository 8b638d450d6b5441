"""Pictures of nets and of trainings, of plain data. matplotlib is imported when something is drawn."""

from mocha.visual.net_picture import LayerBox, NetPicture, Role, net_dot
from mocha.visual.report import Mistake, report_picture

__all__ = ["LayerBox", "Mistake", "NetPicture", "Role", "net_dot", "report_picture"]
