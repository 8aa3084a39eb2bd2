"""`report.html`: the scores and mistakes of a run in one file that opens offline."""

from nlp_training.reports.html.page import REPORT_FILE, report_link, write_report

__all__ = ["REPORT_FILE", "report_link", "write_report"]
