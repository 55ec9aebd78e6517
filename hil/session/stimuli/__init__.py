"""What the harness makes itself, so that every case is tested where its own vectors may not reach: windows for gate and
prepare, windows that are searched for, raw scores for decide, damaged bundles. A room for each; what is expected comes
from hil.reference.
"""

from hil.session.stimuli.alike import alike
from hil.session.stimuli.bundles import BundleStimulus, bundle_stimuli
from hil.session.stimuli.gate import gate_stimuli
from hil.session.stimuli.prepare import prepare_windows
from hil.session.stimuli.scores import ScoreStimulus, expected_decisions, score_stimuli
from hil.session.stimuli.search import Found, Search
from hil.session.stimuli.windows import (
    GateStimulus,
    Joint,
    Windows,
    judged_together,
    of_each_input,
    refusals,
    split_windows,
)

__all__ = [
    "BundleStimulus",
    "Found",
    "GateStimulus",
    "Joint",
    "ScoreStimulus",
    "Search",
    "Windows",
    "alike",
    "bundle_stimuli",
    "expected_decisions",
    "gate_stimuli",
    "judged_together",
    "of_each_input",
    "prepare_windows",
    "refusals",
    "score_stimuli",
    "split_windows",
]
