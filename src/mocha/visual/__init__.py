"""Pictures of nets and of trainings. matplotlib is imported when something is drawn."""

from mocha.visual.report import Mistake, report_picture

__all__ = ["Mistake", "report_picture"]
