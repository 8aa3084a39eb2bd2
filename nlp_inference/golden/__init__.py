"""Golden records: the outputs of every stage of the route for some texts, and their verification on any machine."""

from nlp_inference.golden.compare import Difference
from nlp_inference.golden.hostile import hostile_documents
from nlp_inference.golden.invariance import InvarianceReport, run_invariance
from nlp_inference.golden.recording import record_artefact, record_golden, select_documents
from nlp_inference.golden.schema import GoldenFile, GoldenRecord, golden_file, read_golden
from nlp_inference.golden.tolerance import Tolerance
from nlp_inference.golden.verification import Verification, require_verified, verify, verify_loaded

__all__ = [
    "Difference",
    "GoldenFile",
    "GoldenRecord",
    "InvarianceReport",
    "Tolerance",
    "Verification",
    "golden_file",
    "hostile_documents",
    "read_golden",
    "record_artefact",
    "record_golden",
    "require_verified",
    "run_invariance",
    "select_documents",
    "verify",
    "verify_loaded",
]
