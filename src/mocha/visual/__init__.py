"""Pictures of nets and of trainings. matplotlib is imported when something is drawn."""

from mocha.visual.ranking import Ranking, picture_format, ranking_picture
from mocha.visual.report import Mistake, report_picture

__all__ = ["Mistake", "Ranking", "picture_format", "ranking_picture", "report_picture"]
